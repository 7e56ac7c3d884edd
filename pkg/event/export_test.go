package event

import "fmt"

// Parse makes an event of a JSON document that is not inside an entry. The
// event refers to doc.
func Parse(doc []byte) (*Event, error) {
	ev := new(Event)
	if err := ev.decodeJSON(doc, nil); err != nil {
		return nil, fmt.Errorf("decode event: %w", err)
	}
	return ev, nil
}
