package bench

import (
	"errors"
	"os"
	"runtime/pprof"
	"strconv"
)

// Profile writes a CPU profile to path, with the process id behind it, until the returned function is called; an empty path writes none.
func Profile(path string) (stop func() error, err error) {
	if path == "" {
		return func() error { return nil }, nil
	}
	f, err := os.Create(path + "." + strconv.Itoa(os.Getpid())) //nolint:gosec // named by the person who measures
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() error {
		pprof.StopCPUProfile()
		return f.Close()
	}, nil
}
