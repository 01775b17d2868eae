package umaas

import (
	"bytes"
	"compress/zlib"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// The revocation lists of exported tickets. Nothing is marked when a share ends: a bit is computed from the share as it stands
// when the list is read, so that no way of ending a share can forget it.

// pathStatus is where the lists are, by number.
const pathStatus = "/status"

// statusListSize is how many tickets share a list: what is fetched does not tell which of them is meant.
const statusListSize = 1024

const settingExports = "exported-tickets" // how many there are

func exportSetting(n uint64) string { return settingExports + ":" + strconv.FormatUint(n, 10) }

// export is what is kept of an exported ticket.
type export struct {
	Owner  AccountID `json:"owner"`
	Policy PolicyID  `json:"policy"`
	Rules  []byte    `json:"rules"` // digest of what was exported
	Until  int64     `json:"until"`
}

// exported takes the next entry of the lists for a ticket.
func (s *Service) exported(tx Tx, p Policy, until time.Time) (list, index uint64, err error) {
	n, err := exports(tx)
	if err != nil {
		return 0, 0, err
	}
	raw, err := json.Marshal(export{Owner: p.Owner, Policy: p.ID, Rules: rulesDigest(p), Until: until.Unix()})
	if err != nil {
		return 0, 0, fmt.Errorf("encode export: %w", err)
	}
	if err := errors.Join(tx.PutSetting(exportSetting(n), raw), tx.PutSetting(settingExports, strconv.AppendUint(nil, n+1, 10))); err != nil {
		return 0, 0, fmt.Errorf("store export: %w", err)
	}
	return n / statusListSize, n % statusListSize, nil
}

func exports(r SettingReader) (uint64, error) {
	raw, err := r.Setting(settingExports)
	if gone, err := absent(err); gone || err != nil {
		return 0, err
	}
	n, err := strconv.ParseUint(string(raw), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("count of exported tickets: %w", err)
	}
	return n, nil
}

// rulesDigest is equal for policies that give the same.
func rulesDigest(p Policy) []byte {
	var b strings.Builder
	for _, r := range p.Rules {
		fmt.Fprintf(&b, "%d:%s%d:%s", len(r.RS), r.RS, len(r.Resource), r.Resource)
		for _, scope := range r.Scopes {
			fmt.Fprintf(&b, "%d:%s", len(scope), scope)
		}
		b.WriteString(";" + constraintKey(canonical(r.Constraints)) + ";")
	}
	fmt.Fprintf(&b, "%d", p.NotAfter.Unix())
	sum := sha256.Sum256([]byte(b.String()))
	return sum[:]
}

// StatusList is the revocation list of a number: a JSON document (IETF Token Status List, one bit an entry, unsigned: its
// integrity is the transport's). A set bit is a ticket whose share gives no longer what the ticket says. ErrNotFound for numbers
// that were never used. It reads as many records as the list has tickets; let callers cache it for some seconds.
func (s *Service) StatusList(ctx context.Context, number uint64) ([]byte, error) {
	now := s.Now()
	bits := make([]byte, statusListSize/8)
	err := s.Store.View(ctx, func(r Reader) error {
		clear(bits)
		n, err := exports(r)
		if err != nil {
			return err
		}
		if number >= (n+statusListSize-1)/statusListSize {
			return ErrNotFound
		}
		owners := map[AccountID]bool{}
		for i := range min(uint64(statusListSize), n-number*statusListSize) {
			good, err := exportGood(r, number*statusListSize+i, owners, now)
			if err != nil {
				return err
			}
			if !good {
				bits[i/8] |= 1 << (i % 8)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("status list: %w", err)
	}
	var packed bytes.Buffer
	z := zlib.NewWriter(&packed)
	_, err = z.Write(bits)
	if err = errors.Join(err, z.Close()); err != nil {
		return nil, fmt.Errorf("pack status list: %w", err)
	}
	return json.Marshal(map[string]any{"status_list": map[string]any{"bits": 1, "lst": base64.RawURLEncoding.EncodeToString(packed.Bytes())}})
}

// exportGood reports a ticket whose share stands as it was exported. One that has expired by itself needs no look.
func exportGood(r Reader, n uint64, owners map[AccountID]bool, now time.Time) (bool, error) {
	raw, err := r.Setting(exportSetting(n))
	if gone, err := absent(err); gone || err != nil {
		return false, err
	}
	var e export
	if err := json.Unmarshal(raw, &e); err != nil {
		return false, fmt.Errorf("exported ticket %d: %w", n, err)
	}
	if now.Unix() >= e.Until {
		return true, nil
	}
	if _, looked := owners[e.Owner]; !looked {
		a, err := r.Account(e.Owner)
		if _, err := absent(err); err != nil {
			return false, err
		}
		owners[e.Owner] = err == nil && !a.Disabled
	}
	p, err := r.Policy(e.Owner, e.Policy)
	if gone, err := absent(err); gone || err != nil {
		return false, err
	}
	return owners[e.Owner] && p.InForce(now) && bytes.Equal(rulesDigest(p), e.Rules), nil
}
