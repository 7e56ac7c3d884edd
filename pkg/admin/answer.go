package admin

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"

	"example.com/fanout/pkg/manifest"
)

// problem is the form of every error.
type problem struct {
	Error       string   `json:"error"`
	Hint        string   `json:"hint"`
	DidYouMean  []string `json:"did_you_mean,omitempty"` // groups whose name is near an unknown one
	KnownGroups []string `json:"known_groups,omitzero"`  // set for an unknown group alone

	Faults manifest.Faults `json:"faults,omitempty"` // of a manifest that is refused
}

func fail(w http.ResponseWriter, status int, p problem) { answer(w, status, p) }

func answer(w http.ResponseWriter, status int, v any) {
	body, err := encode(v)
	if err != nil {
		status = http.StatusInternalServerError
		body, _ = encode(problem{Error: err.Error(), Hint: "report this as a bug"})
	}
	write(w, status, "application/json", body)
}

// encode is a line of JSON. Its error is about a number that JSON does not have.
func encode(v any) ([]byte, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode the answer: %w", err)
	}
	return append(body, '\n'), nil
}

func write(w http.ResponseWriter, status int, contentType string, body []byte) {
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // whoever asked has gone
}
