package main

import (
	"os"
	"runtime"
	"runtime/debug"
)

// A sidecar stands beside its app and beside other sidecars, and takes its share and no more. By itself Go spreads its
// work over all cores and looks for garbage each time that the little that a sidecar keeps has doubled, which was up to
// a quarter of what it did (docs/develop/adr/0097).
const (
	cores          = 1         // as many as its app, which is one process of Python, can use
	garbagePercent = 400       // of what is kept
	memoryBytes    = 256 << 20 // from here on garbage is looked for more often
)

// takeShare sets that, except for what the environment sets in Go's own words.
func takeShare() {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(cores)
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(garbagePercent)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryBytes)
	}
}
