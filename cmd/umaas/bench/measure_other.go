//go:build !unix

package bench

import (
	"errors"
	"io/fs"
	"time"
)

// ownCPU has nobody to ask here.
func ownCPU() (time.Duration, error) {
	return 0, errors.New("umaas bench reads CPU time from the operating system and needs Linux")
}

// blocksOf is the file's length: this system does not tell what it takes on disk.
func blocksOf(info fs.FileInfo) int64 { return info.Size() }
