// Package boltkv is the engine in one file, on bbolt: the default of a single server. Reading transactions are bbolt's own
// and never wait. Writing ones go through one committer goroutine, which takes everything that queued up while the last
// commit ran, runs each function on its own overlay in one bbolt transaction, and answers all of them after one fsync: a
// client alone gets a commit of its own without waiting, many share one. No timer delays anybody.
package boltkv

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/umaas/umaas/umaas/store/kv"
	bolt "go.etcd.io/bbolt"
)

// Options of Open. The zero value is right for production.
type Options struct {
	// InsecureNoSync leaves out fsync: a crash of the machine may lose or damage the file. For tests and throw-away data.
	InsecureNoSync bool
}

const (
	queueLength = 1024
	lockTimeout = time.Second
	initialMap  = 256 << 20 // bytes of address space, so that a growing file does not stop readers to be mapped again
	// fill packs pages fuller than bbolt's half when they split: most of our keys grow with time inside their region.
	fill = 0.8
)

func bucketName() []byte { return []byte("kv") }

// Engine implements kv.Engine.
type Engine struct {
	db      *bolt.DB
	queue   chan *request
	stopped chan struct{} // closed when the committer has ended
	commits atomic.Int64
	updates atomic.Int64
	mu      sync.RWMutex // held for reading while a request enters the queue, for writing by Close
	closed  bool
}

var _ kv.Engine = (*Engine)(nil)

// Open opens the file, making it (mode 0600) if it is absent. One process at a time can have it open.
func Open(path string, o Options) (*Engine, error) {
	db, err := open(path, o)
	if err != nil {
		return nil, err
	}
	fresh := false
	err = db.View(func(tx *bolt.Tx) error {
		first, _ := tx.Cursor().First()
		if fresh = first == nil; !fresh && tx.Bucket(bucketName()) == nil {
			return errors.New("the file belongs to another program")
		}
		return nil
	})
	if err == nil && fresh { // an existing file is left as it is: refusing its schema later must not touch it
		err = db.Update(func(tx *bolt.Tx) error {
			_, err := tx.CreateBucket(bucketName())
			return err
		})
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open store %s: %w", path, err), db.Close())
	}
	e := &Engine{db: db, queue: make(chan *request, queueLength), stopped: make(chan struct{})}
	go e.commitLoop()
	return e, nil
}

func open(path string, o Options) (*bolt.DB, error) {
	db, err := bolt.Open(path, 0o600, &bolt.Options{
		Timeout: lockTimeout, FreelistType: bolt.FreelistMapType, InitialMmapSize: initialMap, NoSync: o.InsecureNoSync,
	})
	switch {
	case errors.Is(err, bolt.ErrTimeout): //nolint:staticcheck // its new home is one more package to import, for one name
		return nil, fmt.Errorf("open store %s: another process has it open; stop that one first", path)
	case err != nil:
		return nil, fmt.Errorf("open store %s: %w", path, err)
	}
	return db, nil
}

// View implements kv.Engine.
func (e *Engine) View(ctx context.Context, fn func(kv.Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	begun := false
	err := e.db.View(func(tx *bolt.Tx) error {
		begun = true
		return kv.NewOverlay(snapshot{tx.Bucket(bucketName())}, true).Run(fn)
	})
	if !begun && e.isClosed() {
		return kv.ErrClosed
	}
	return err
}

// Stats counts since the opening.
type Stats struct {
	Commits int64 // bbolt transactions that were written, each with its fsync
	Updates int64 // Update calls whose writes they carried
	Free    int   // pages of the file that wait for use
}

// Stats tells how well writers share commits.
func (e *Engine) Stats() Stats {
	free := e.db.Stats().FreePageN
	return Stats{Commits: e.commits.Load(), Updates: e.updates.Load(), Free: free}
}

// Close implements kv.Engine.
func (e *Engine) Close() error {
	e.mu.Lock()
	if !e.closed {
		e.closed = true
		close(e.queue)
	}
	e.mu.Unlock()
	<-e.stopped
	return e.db.Close()
}

func (e *Engine) isClosed() bool {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return e.closed
}

// Backup writes a consistent copy of the whole store while it is in use.
func (e *Engine) Backup(w io.Writer) error {
	err := e.db.View(func(tx *bolt.Tx) error {
		_, err := tx.WriteTo(w)
		return err
	})
	if err != nil {
		return fmt.Errorf("back up store: %w", err)
	}
	return nil
}

// Restore makes a new store file of a backup. An existing file is refused. The copy is built beside its place, proved to be
// whole, and accepted by check (which reads the schema) before it takes the name, so that a bad backup leaves nothing.
func Restore(path string, backup io.Reader, check func(kv.Tx) error) (err error) {
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("restore: %s exists already; move it away or restore to another place", path)
	}
	dir := filepath.Dir(path)
	tmp, err := os.CreateTemp(dir, ".restore-*")
	if err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	defer func() { err = errors.Join(err, os.Remove(tmp.Name())) }()
	_, err = io.Copy(tmp, backup)
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	if err := verify(tmp.Name(), check); err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	if err := os.Link(tmp.Name(), path); err != nil { // unlike rename, fails when somebody took the name meanwhile
		return fmt.Errorf("restore: %w", err)
	}
	return syncDir(dir)
}

func verify(path string, check func(kv.Tx) error) (err error) {
	db, err := bolt.Open(path, 0o600, &bolt.Options{Timeout: lockTimeout, ReadOnly: true})
	if err != nil {
		return fmt.Errorf("not a store, or a damaged one: %w", err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return db.View(func(tx *bolt.Tx) error {
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		if info.Size() < tx.Size() { // before Check, whose reading behind the end of the file would end the process
			return fmt.Errorf("cut short: %d bytes of %d", info.Size(), tx.Size())
		}
		for damage := range tx.Check() {
			return fmt.Errorf("damaged: %w", damage)
		}
		b := tx.Bucket(bucketName())
		if b == nil {
			return errors.New("not a store of this program")
		}
		return kv.NewOverlay(snapshot{b}, true).Run(check)
	})
}

func syncDir(dir string) error {
	d, err := os.Open(dir) //nolint:gosec // the operator's own path
	if err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	return errors.Join(d.Sync(), d.Close())
}
