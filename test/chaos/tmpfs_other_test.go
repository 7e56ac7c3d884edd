//go:build !linux

package chaos

import "errors"

// mountSmall needs Linux.
func mountSmall(string, string) error { return errors.ErrUnsupported }

func unmount(string) {}
