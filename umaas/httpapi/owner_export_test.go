package httpapi

import "github.com/umaas/umaas/umaas/uma"

// OwnerBodies are fresh values of every body of the policy API, for fuzzing.
func OwnerBodies() []any {
	return []any{&newPolicy{}, &narrowing{}, &answerBody{}, &newDelegation{}}
}

// DecodeOwnerBody reads one as a request would be.
func DecodeOwnerBody(raw []byte, v any) error {
	if err := checkJSON(raw); err != nil {
		return uma.ErrInvalidRequest.With(err.Error())
	}
	if err := decodeStrict(raw, v); err != nil {
		return err
	}
	if n, ok := v.(*newPolicy); ok {
		_, err := n.share()
		return err
	}
	return nil
}
