package main

import (
	"math"
	"runtime"
	"runtime/debug"
	"testing"
)

func TestASidecarTakesOneCore(t *testing.T) {
	before := runtime.GOMAXPROCS(2)
	defer runtime.GOMAXPROCS(before)
	t.Setenv("GOMAXPROCS", "")
	takeShare()
	if got := runtime.GOMAXPROCS(0); got != cores {
		t.Errorf("%d cores", got)
	}
	if got := debug.SetMemoryLimit(-1); got != memoryBytes {
		t.Errorf("a limit of %d bytes", got)
	}
}

func TestWhatTheEnvironmentSetsStays(t *testing.T) {
	before := runtime.GOMAXPROCS(2)
	defer runtime.GOMAXPROCS(before)
	debug.SetMemoryLimit(math.MaxInt64)
	t.Setenv("GOMAXPROCS", "2")
	t.Setenv("GOGC", "50")
	t.Setenv("GOMEMLIMIT", "off")
	debug.SetGCPercent(50)
	takeShare()
	if got := runtime.GOMAXPROCS(0); got != 2 {
		t.Errorf("%d cores", got)
	}
	if got := debug.SetGCPercent(50); got != 50 {
		t.Errorf("garbage at %d %%", got)
	}
	if got := debug.SetMemoryLimit(-1); got != math.MaxInt64 {
		t.Errorf("a limit of %d bytes", got)
	}
}
