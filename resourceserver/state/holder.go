package state

import (
	"errors"

	rs "github.com/umaas/umaas/resourceserver"
	"github.com/umaas/umaas/umaas/store/kv"
)

// yields decides whether whoever holds a record gives way to g. The custodian and an account of nobody do, a person to her
// own other account, and a representative to the patient herself. Anybody else stays: ErrTaken. Of two accounts that are the
// same patient the first keeps the record, whichever way the second one comes by it, a sign-in or a switch of guards.
func yields(tx kv.Tx, held registrationRecord, g rs.Registration) error {
	if held.User == "" {
		return nil
	}
	if g.Owner.Custodian() {
		return rs.ErrTaken // claimed while the custodian's was on its way
	}
	holder, _, err := whose(tx, held.User)
	if err != nil || holder == "" {
		return err
	}
	next, _, err := whose(tx, g.Owner.User)
	if err != nil || next == holder {
		return err
	}
	theirs, err := patientOf(tx, holder)
	if err != nil {
		return err
	}
	hers, err := patientOf(tx, next)
	if err != nil {
		return err
	}
	if hers != g.Patient || theirs == g.Patient {
		return rs.ErrTaken
	}
	return nil
}

// patientOf is the patient a person is here, "" none.
func patientOf(tx kv.Tx, home string) (string, error) {
	if unkeyable(home) {
		return "", nil
	}
	var u userRecord
	err := load(tx, key("u", home), &u)
	if errors.Is(err, rs.ErrNotKept) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return rs.User{FHIRUser: u.FHIRUser}.Patient(), nil
}
