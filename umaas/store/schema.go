package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/umaas/umaas/umaas/store/kv"
)

// Schema is the version this program writes. A change of keys or indexes raises it and adds its step to upgrades; a new
// field of a record does not (codec.go).
const Schema = 1

const schemaName = "umaas-authorization-server/"

func schemaKey() []byte { return plainKey(regionMeta, "schema") }

// upgrades[n] brings schema n to n+1, in transactions of its own that may be run again after a crash; its last one stores
// the new version. Version 1 is the first.
func upgrades() map[int]func(context.Context, kv.Engine) error {
	return map[int]func(context.Context, kv.Engine) error{}
}

// CheckSchema tells whether this program can use a store; it is what restoring a backup asks first.
func CheckSchema(t kv.Tx) error {
	v, err := schemaOf(t)
	if err != nil {
		return err
	}
	return usable(v)
}

func usable(v int) error {
	if v > Schema {
		return fmt.Errorf("store has schema %d, this program knows up to %d: start a newer program", v, Schema)
	}
	for n := v; n < Schema; n++ {
		if upgrades()[n] == nil {
			return fmt.Errorf("store has schema %d, this program reads from %d on: upgrade with an older program first", v, n+1)
		}
	}
	return nil
}

// errEmpty: nothing is stored, so any schema may be.
var errEmpty = errors.New("store is empty")

func schemaOf(t kv.Tx) (int, error) {
	raw, err := t.Get(schemaKey())
	if errors.Is(err, kv.ErrNotFound) {
		some, err := t.Scan(nil, nil, 1)
		switch {
		case err != nil:
			return 0, err
		case len(some) == 0:
			return 0, errEmpty
		}
		return 0, errors.New("store has no schema version: it is not one of an authorization server")
	}
	if err != nil {
		return 0, err
	}
	digits, ours := strings.CutPrefix(string(raw), schemaName)
	v, err := strconv.Atoi(digits)
	if !ours || err != nil || v < 1 {
		return 0, fmt.Errorf("store has schema %q: it is not one of an authorization server", raw)
	}
	return v, nil
}

// prepare makes an engine ready. It writes only to an empty store or to run an upgrade; refusing leaves everything as it is.
func prepare(ctx context.Context, engine kv.Engine) error {
	var v int
	err := engine.View(ctx, func(t kv.Tx) (err error) {
		v, err = schemaOf(t)
		return err
	})
	if errors.Is(err, errEmpty) {
		v = Schema
		err = engine.Update(ctx, func(t kv.Tx) error {
			if _, err := schemaOf(t); !errors.Is(err, errEmpty) { // another server was first
				return err
			}
			return t.Put(schemaKey(), []byte(schemaName+strconv.Itoa(Schema)))
		})
	}
	if err == nil {
		err = usable(v)
	}
	for ; err == nil && v < Schema; v++ {
		err = upgrades()[v](ctx, engine)
	}
	if err != nil {
		return fmt.Errorf("open store: %w", err)
	}
	return nil
}
