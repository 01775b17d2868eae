package store

import (
	"context"
	"fmt"

	"github.com/umaas/umaas/fhir"
)

// putChunk bounds one bulk transaction, so that other writers get their turn.
const putChunk = 500

// Put stores resources under the ids they carry, creating or replacing. A resource whose content is stored already is left as it is, so
// Put may be repeated. Each chunk of 500 is one transaction; on an error the chunks before it are stored.
func (s *Store) Put(ctx context.Context, resources ...*fhir.Resource) error {
	for start := 0; start < len(resources); start += putChunk {
		var ready []*prepared
		for _, r := range resources[start:min(start+putChunk, len(resources))] {
			p, err := s.prepareParsed(r)
			if err != nil {
				return fmt.Errorf("put %s/%s: %w", r.Type(), r.ID(), err)
			}
			if p.id == "" {
				return fmt.Errorf("put %s: the resource has no id", r.Type())
			}
			ready = append(ready, p)
		}
		err := s.commit.do(ctx, func(t *txn) error {
			for _, p := range ready {
				if _, _, err := t.putIfChanged(p, p.id); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("put: %w", err)
		}
	}
	return nil
}

// putIfChanged stores p unless the current version says the same already.
func (t *txn) putIfChanged(p *prepared, id string) (known, changed bool, err error) {
	st, known := t.lookup(p.typ, id)
	known = known && !st.deleted
	if known {
		current, err := t.version(st.seq)
		if err != nil {
			return known, false, err
		}
		if p.sameContent(current) {
			return known, false, nil
		}
	}
	_, err = t.put(p, id, methodPut)
	return known, true, err
}
