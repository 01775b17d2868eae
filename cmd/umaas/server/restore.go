package server

import (
	"io"

	"github.com/umaas/umaas/umaas/store"
	"github.com/umaas/umaas/umaas/store/kv/boltkv"
)

// Restore puts a backup of the authorization server's store at path, where none may be.
func Restore(path string, backup io.Reader) error {
	return boltkv.Restore(path, backup, store.CheckSchema)
}
