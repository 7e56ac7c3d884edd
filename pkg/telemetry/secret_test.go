package telemetry_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"example.com/fanout/pkg/telemetry"
)

func TestSecretStaysMasked(t *testing.T) {
	t.Parallel()
	const text = "hunter2"
	type config struct {
		URL  telemetry.Secret
		More []telemetry.Secret
		Ptr  *telemetry.Secret
		Map  map[string]telemetry.Secret
	}
	secret := telemetry.Secret(text)
	inside := config{secret, []telemetry.Secret{secret}, &secret, map[string]telemetry.Secret{"key": secret}}

	shown := map[string]string{}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%10s", "%.3s", "%t", "%T"} {
		shown[verb] = fmt.Sprintf(verb, secret)
		shown[verb+" pointer"] = fmt.Sprintf(verb, &secret)
		shown[verb+" struct"] = fmt.Sprintf(verb, inside)
	}
	encoded, err := json.Marshal(inside)
	if err != nil {
		t.Fatal(err)
	}
	shown["json"] = string(encoded)
	shown["error"] = fmt.Errorf("dial %s: %w", secret, errors.New("refused")).Error()
	shown["concatenated"] = "url " + secret.String()
	shown["slog value"] = slog.AnyValue(secret).Resolve().String()
	shown["print"] = fmt.Sprint(secret, inside)
	for _, format := range []string{"text", "json"} {
		var b strings.Builder
		logger, err := telemetry.NewLogger(&b, "info", format, false)
		if err != nil {
			t.Fatal(err)
		}
		logger.Info("set up", "secret", secret, "pointer", &secret, "config", inside, slog.Group("redis", "url", secret))
		logger.With("secret", secret).Info("set up")
		shown["slog "+format] = b.String()
	}

	hexed := fmt.Sprintf("%x", text)
	for how, s := range shown {
		if strings.Contains(s, text) || strings.Contains(s, "hun") || strings.Contains(strings.ToLower(s), hexed) {
			t.Errorf("%s shows the secret: %s", how, s)
		}
	}
	for _, how := range []string{"%v", "%s", "%#v", "json", "error", "slog text", "slog json"} {
		if !strings.Contains(shown[how], "***") {
			t.Errorf("%s shows no mask: %s", how, shown[how])
		}
	}
	if slog.AnyValue(secret).Resolve().Kind() != slog.KindString {
		t.Error("slog keeps the secret itself, for each handler to mask")
	}
	if got := secret.Reveal(); got != text {
		t.Errorf("Reveal() = %q", got)
	}
	if got := fmt.Sprintf("[%v]", telemetry.Secret("")); got != "[]" {
		t.Errorf("an empty secret shows as %s, want []", got)
	}
	if got := fmt.Sprintf("%#v", secret); got != `"***"` {
		t.Errorf("%%#v is %s", got)
	}
}
