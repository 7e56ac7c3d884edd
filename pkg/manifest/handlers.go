package manifest

// Handlers are the handler types that a manifest may name. It is asked for a
// new config per group, never for a handler.
type Handlers interface {
	// Names gives all types in order.
	Names() []string

	// New gives the config of one handler, false when there is no such type.
	New(name string) (HandlerConfig, bool)
}

// HandlerConfig is one handler's part of the manifest.
type HandlerConfig struct {
	// Config is a pointer to a struct whose fields have the tags yaml, doc,
	// default, min, max, enum and required. A field without a yaml tag is no
	// key. A slice of structs with one field tagged `yaml:",key"` and one tagged
	// `yaml:",value"` is filled from a mapping, in the order of the file. What
	// the struct holds already is the default of fields without a default tag.
	Config any

	// Doc is one line about the type.
	Doc string

	// Check, unless nil, is called once Config is filled. It does no I/O.
	Check func() []Finding

	// Prefers, unless nil, is called after Check. What it returns wins over
	// defaults, and a group's own keys win over it; 0 is no wish.
	Prefers func() (batchSize, concurrency int)
}

// Finding is one fault or remark of a handler about its own config.
type Finding struct {
	Path    string // below the handler's key, as columns.trade_id; "" for the whole
	Message string
	Warning bool
}
