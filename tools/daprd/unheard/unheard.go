// Package unheard leaves out events whose types an app does not hear. A topic has all events of a service; without this
// each would be taken apart for every app that hears one of its types, sent to it, and come to nothing there.
package unheard

import (
	"bytes"
	"encoding/json"
	"strings"
)

// Types are those that the app does not hear, of the ones that it knows: what is unknown to it it gets.
type Types map[string]struct{}

// Of finds them in the metadata of a subscription: `unheardTypes`, with commas in between.
func Of(metadata map[string]string) Types {
	listed := metadata["unheardTypes"]
	if listed == "" {
		return nil
	}
	types := Types{}
	for _, name := range strings.Split(listed, ",") {
		types[name] = struct{}{}
	}
	return types
}

// Has says whether an event is of such a type, `kind` if that is known. One that can't be read is not.
func (t Types) Has(kind string, event []byte) bool {
	if len(t) == 0 {
		return false
	}
	if kind == "" {
		kind, _ = Kind(event)
	}
	_, found := t[kind]
	return found
}

// Kind says whether an event is a JSON object, and its type if that is a plain name.
func Kind(event []byte) (kind string, isObject bool) {
	if trimmed := bytes.TrimSpace(event); len(trimmed) == 0 || trimmed[0] != '{' {
		return "", false
	}
	var head struct {
		Type json.RawMessage `json:"type"`
	}
	if json.Unmarshal(event, &head) != nil {
		return "", false
	}
	kind = strings.Trim(string(head.Type), `"`)
	if strings.Trim(kind, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		return "", true
	}
	return kind, true
}
