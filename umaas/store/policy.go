package store

import (
	"encoding/binary"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/store/kv"
)

// maxIndexed is the number of resources up to which a policy has an index entry for each. A wider one has a single entry
// that every lookup of its party reads too, so that storing it stays within one transaction.
const maxIndexed = 24

func policyKey(owner umaas.AccountID, id umaas.PolicyID) []byte {
	return accountKey(owner, kindPolicy, string(id))
}

func (t tx) Policy(owner umaas.AccountID, id umaas.PolicyID) (umaas.Policy, error) {
	return readAgain(t, policyKey(owner, id), policyFields)
}

func (t tx) Policies(owner umaas.AccountID, after umaas.PolicyID, limit int) ([]umaas.Policy, error) {
	return page(t, accountKey(owner, kindPolicy), policyKey(owner, after), limit, policyFields)
}

// whoHash names a party as policies identify it, without the name it is shown by; "" names nobody.
func whoHash(w umaas.Who) string {
	parts := []string{string(w.Kind)}
	switch w.Kind {
	case umaas.WhoAccount:
		parts = append(parts, string(w.Account))
	case umaas.WhoEmail:
		parts = append(parts, w.Email)
	case umaas.WhoClaim:
		// "" is an issuer: this server itself.
		if w.Claim.Name == "" || w.Claim.Value == "" {
			return ""
		}
		return hashOf(indexHashLength, string(w.Kind), w.Claim.Issuer, w.Claim.Name, w.Claim.Value)
	case umaas.WhoClient:
		parts = append(parts, string(w.Client))
	default:
		return ""
	}
	if slices.Contains(parts, "") {
		return "" // a party without its identity is nobody
	}
	return hashOf(indexHashLength, parts...)
}

func resourceHash(rs umaas.ClientID, id umaas.ResourceID) string {
	return hashOf(indexHashLength, string(rs), string(id))
}

// wide stands in the index for "any of the policy's resources".
const wide = "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"

// indexKeys are the entries a policy has: none when it is revoked or names nobody.
func indexKeys(p umaas.Policy) map[string]struct{} {
	who := whoHash(p.Who)
	if who == "" || !p.Revoked.IsZero() {
		return nil
	}
	keys := map[string]struct{}{}
	for _, r := range p.Rules {
		keys[string(accountKey(p.Owner, kindPolicyIndex, resourceHash(r.RS, r.Resource), who, string(p.ID)))] = struct{}{}
	}
	if len(keys) > maxIndexed {
		return map[string]struct{}{string(accountKey(p.Owner, kindPolicyIndex, wide, who, string(p.ID))): {}}
	}
	return keys
}

func (t tx) PutPolicy(p umaas.Policy) error {
	if err := named("policy", string(p.Owner), string(p.ID)); err != nil {
		return err
	}
	old, err := t.Policy(p.Owner, p.ID)
	if err != nil && !errors.Is(err, umaas.ErrNotFound) {
		return err
	}
	before, after := indexKeys(old), indexKeys(p)
	for _, k := range slices.Sorted(maps.Keys(before)) {
		if _, stays := after[k]; !stays {
			if err := t.kv.Delete([]byte(k)); err != nil {
				return err
			}
		}
	}
	for _, k := range slices.Sorted(maps.Keys(after)) {
		if _, there := before[k]; !there || !old.NotAfter.Equal(p.NotAfter) {
			if err := t.kv.Put([]byte(k), endOf(p)); err != nil {
				return err
			}
		}
	}
	if err := t.movePolicyEnd(old, p); err != nil {
		return err
	}
	return t.kv.Put(policyKey(p.Owner, p.ID), encode(&p, policyFields))
}

// policyEnd lets the garbage collection take a policy that has ended out of the index; the policy stays for the history.
type policyEnd struct {
	end   time.Time
	owner umaas.AccountID
	id    umaas.PolicyID
}

func policyEndFields(c *codec, v *policyEnd) {
	c.when(&v.end)
	text(c, &v.owner)
	text(c, &v.id)
}

func policyEndKey(p umaas.Policy) []byte {
	k := binary.BigEndian.AppendUint64([]byte{regionPolicyEnd}, uint64(max(0, p.NotAfter.Unix())))
	return append(append(append(k, p.Owner...), 0), p.ID...)
}

func hasEnd(p umaas.Policy) bool { return !p.NotAfter.IsZero() && p.Revoked.IsZero() }

func (t tx) movePolicyEnd(old, p umaas.Policy) error {
	if hasEnd(old) && (!hasEnd(p) || !old.NotAfter.Equal(p.NotAfter)) {
		if err := t.kv.Delete(policyEndKey(old)); err != nil {
			return err
		}
	}
	if !hasEnd(p) || hasEnd(old) && old.NotAfter.Equal(p.NotAfter) {
		return nil
	}
	return t.kv.Put(policyEndKey(p), encode(&policyEnd{end: p.NotAfter, owner: p.Owner, id: p.ID}, policyEndFields))
}

// endOf is what an index entry says of its policy: when it ends, in Unix seconds rounded up; nothing for one without an end.
func endOf(p umaas.Policy) []byte {
	if p.NotAfter.IsZero() {
		return nil
	}
	return binary.BigEndian.AppendUint64(nil, uint64(max(0, p.NotAfter.Add(time.Second-1).Unix())))
}

// hasEnded judges an index entry; what it cannot read is left to the policy itself.
func hasEnded(entry []byte, now time.Time) bool {
	return len(entry) == 8 && binary.BigEndian.Uint64(entry) <= uint64(max(0, now.Unix()))
}

// PoliciesFor proves what the index says: the policy itself must be in force, name the party and have the resource.
func (t tx) PoliciesFor(owner umaas.AccountID, rs umaas.ClientID, id umaas.ResourceID, parties []umaas.Who) ([]umaas.Policy, error) {
	var out []umaas.Policy
	seen := map[umaas.PolicyID]bool{}
	for _, party := range parties {
		who := whoHash(party)
		if who == "" {
			continue
		}
		for _, where := range []string{resourceHash(rs, id), wide} {
			ids, err := t.indexed(accountKey(owner, kindPolicyIndex, where, who))
			if err != nil {
				return nil, err
			}
			for _, pid := range ids {
				if seen[pid] {
					continue
				}
				seen[pid] = true
				p, err := t.Policy(owner, pid)
				if err != nil {
					return nil, err
				}
				if !p.Revoked.IsZero() || !same(p.Who, party) || !covers(p, rs, id) {
					continue
				}
				if out = append(out, p); len(out) > umaas.MaxPoliciesFor {
					return nil, umaas.ErrCrowded
				}
			}
		}
	}
	return out, nil
}

// indexed reads the ids behind a prefix of the index, of policies that have not ended.
func (t tx) indexed(prefix []byte) ([]umaas.PolicyID, error) {
	var ids []umaas.PolicyID
	var after []byte
	now := t.store.now()
	for {
		pairs, err := t.kv.Scan(prefix, after, kv.MaxScan)
		if err != nil {
			return nil, err
		}
		for _, p := range pairs {
			if !hasEnded(p.Value, now) {
				ids = append(ids, umaas.PolicyID(p.Key[len(prefix):]))
			}
		}
		if len(pairs) < kv.MaxScan {
			return ids, nil
		}
		after = pairs[len(pairs)-1].Key
	}
}

func same(a, b umaas.Who) bool {
	switch a.Kind {
	case umaas.WhoAccount:
		return b.Kind == a.Kind && a.Account == b.Account
	case umaas.WhoEmail:
		return b.Kind == a.Kind && a.Email == b.Email
	case umaas.WhoClaim:
		return b.Kind == a.Kind && a.Claim == b.Claim
	case umaas.WhoClient:
		return b.Kind == a.Kind && a.Client == b.Client
	default:
		return false
	}
}

func covers(p umaas.Policy, rs umaas.ClientID, id umaas.ResourceID) bool {
	return slices.ContainsFunc(p.Rules, func(r umaas.Rule) bool { return r.RS == rs && r.Resource == id })
}
