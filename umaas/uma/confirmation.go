package uma

import "encoding/json"

// Confirmation is the claim cnf (RFC 7800 §3.1): the key a token is bound to.
type Confirmation struct {
	JKT string `json:"jkt,omitempty"`      // thumbprint of the DPoP key (RFC 9449 §6.1)
	X5T string `json:"x5t#S256,omitempty"` // thumbprint of the client's certificate (RFC 8705 §3.1)
	// Unknown says that nothing in it is understood: the token is bound to something that cannot be checked, so nobody can
	// use it. It is never sent.
	Unknown bool `json:"-"`
}

// Bound reports a binding, known or not.
func (c Confirmation) Bound() bool { return c != Confirmation{} }

// UnmarshalJSON keeps in mind that there was a binding where none of its members is known.
func (c *Confirmation) UnmarshalJSON(raw []byte) error {
	type plain Confirmation
	if err := json.Unmarshal(raw, (*plain)(c)); err != nil {
		return err
	}
	c.Unknown = c.JKT == "" && c.X5T == ""
	return nil
}
