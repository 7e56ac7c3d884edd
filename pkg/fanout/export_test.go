package fanout

import "example.com/fanout/pkg/manifest"

// Manifest is the one that was applied last, an empty one before that.
func (f *Fanout) Manifest() *manifest.Manifest {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.manifest()
}
