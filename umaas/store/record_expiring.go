package store

import (
	"time"

	"github.com/umaas/umaas/umaas"
)

// Records with an end. It is always the first field, so that the garbage collection reads it without the rest.

// expiry reads the first field of a record that expires.
func expiry(raw []byte) (time.Time, error) {
	if len(raw) == 0 || raw[0] == 0 || raw[0] > recordVersion {
		return time.Time{}, errDamaged
	}
	c := codec{version: raw[0], decoding: true, in: string(raw[1:min(len(raw), 32)])} // a moment has at most 15 bytes
	var end time.Time
	c.when(&end)
	return end, c.err
}

func ticketFields(c *codec, v *umaas.Ticket) {
	c.when(&v.Expires)
	c.key(&v.Key)
	c.hash(&v.Secret)
	c.key(&v.Process)
	text(c, &v.Owner)
	text(c, &v.RS)
	slice(c, &v.Permissions, permissionFields)
	if c.version >= 2 {
		slice(c, &v.AskedByRS, permissionFields)
	}
	text(c, &v.Client)
	text(c, &v.Challenge)
	optional(c, &v.Party, partyFields)
	text(c, &v.Purpose)
	text(c, &v.Note)
	c.key(&v.Request)
	number(c, &v.Interval)
	c.when(&v.NotBefore)
	c.flag(&v.Decoy)
	if c.version >= 2 {
		confirmationFields(c, &v.Confirm)
		c.flag(&v.Remember)
		c.flag(&v.BreakGlass)
		slice(c, &v.Answers, claimFields)
		c.when(&v.Until)
	}
}

func flowFields(c *codec, v *umaas.Flow) {
	c.when(&v.Expires)
	c.key(&v.Key)
	c.hash(&v.Secret)
	c.hash(&v.Browser)
	text(c, &v.Kind)
	text(c, &v.Client)
	text(c, &v.RedirectURI)
	text(c, &v.State)
	c.flag(&v.HasState)
	optional(c, &v.Ticket, ticketFields)
	optional(c, &v.Authorize, func(c *codec, v *umaas.AuthorizeParams) {
		c.list(&v.Scope)
		text(c, &v.Nonce)
		text(c, &v.Challenge)
		c.list(&v.Resource)
		number(c, &v.MaxAge)
		text(c, &v.Prompt)
		text(c, &v.RS)
		if c.version >= 2 {
			text(c, &v.JKT)
		}
	})
	text(c, &v.Account)
	if c.version >= 2 {
		slice(c, &v.Answered, text[umaas.FlowStep])
		optional(c, &v.Trip, tripFields)
	}
}

func tripFields(c *codec, v *umaas.Trip) {
	c.hash(&v.State)
	text(c, &v.Issuer)
	text(c, &v.Link)
	number(c, &v.MaxAge)
	text(c, &v.ACR)
	text(c, &v.To)
	c.when(&v.Started)
}

func grantFields(c *codec, v *umaas.Grant) {
	c.when(&v.Expires)
	c.key(&v.Key)
	text(c, &v.Kind)
	text(c, &v.Client)
	text(c, &v.Party)
	text(c, &v.Owner)
	text(c, &v.RS)
	slice(c, &v.Permissions, grantedFields)
	c.list(&v.Scope)
	c.list(&v.Audience)
	c.key(&v.Process)
	c.flag(&v.Once)
	c.when(&v.Spent)
	c.when(&v.Revoked)
	c.when(&v.AuthTime)
	c.list(&v.AMR)
	c.when(&v.Created)
	if c.version >= 2 {
		text(c, &v.ACR)
		slice(c, &v.Claims, claimFields)
		confirmationFields(c, &v.Confirm)
		c.flag(&v.BreakGlass)
		text(c, &v.Purpose)
	}
}

func grantedFields(c *codec, v *umaas.Granted) {
	text(c, &v.Resource)
	c.list(&v.Scopes)
	slice(c, &v.Constraints, constraintFields)
	slice(c, &v.Policies, text[umaas.PolicyID])
	c.when(&v.Expires)
	optional(c, &v.Base, func(c *codec, v *umaas.Base) {
		text(c, &v.Owner)
		text(c, &v.RS)
		text(c, &v.Resource)
		slice(c, &v.Policies, text[umaas.PolicyID])
	})
}

func tokenFields(c *codec, v *umaas.Token) {
	c.when(&v.Expires)
	c.key(&v.Key)
	c.hash(&v.Secret)
	text(c, &v.Kind)
	c.key(&v.Grant)
	text(c, &v.Client)
	c.when(&v.Used)
	c.when(&v.Created)
}

func codeFields(c *codec, v *umaas.Code) {
	c.when(&v.Expires)
	c.key(&v.Key)
	c.hash(&v.Secret)
	text(c, &v.Client)
	text(c, &v.RedirectURI)
	text(c, &v.Challenge)
	text(c, &v.Nonce)
	c.key(&v.Grant)
	c.when(&v.Used)
	if c.version >= 2 {
		text(c, &v.JKT)
	}
}

func sessionFields(c *codec, v *umaas.Session) {
	c.when(&v.Expires)
	c.key(&v.Key)
	c.hash(&v.Secret)
	text(c, &v.Account)
	c.when(&v.AuthTime)
	c.list(&v.AMR)
	c.when(&v.Created)
	if c.version >= 2 {
		text(c, &v.ACR)
		identityFields(c, &v.Upstream)
		slice(c, &v.Claims, claimFields)
	}
}

func pctFields(c *codec, v *umaas.PCT) {
	c.when(&v.Expires)
	c.key(&v.Key)
	c.hash(&v.Secret)
	text(c, &v.Client)
	partyFields(c, &v.Party)
	confirmationFields(c, &v.Confirm)
	c.when(&v.Created)
	c.when(&v.Used)
	text(c, &v.Purpose)
}

func invitationFields(c *codec, v *umaas.Invitation) {
	c.when(&v.Expires)
	c.key(&v.Key)
	c.hash(&v.Secret)
	text(c, &v.Owner)
	text(c, &v.By)
	policyFields(c, &v.Policy)
	c.when(&v.Accepted)
	text(c, &v.Account)
	c.when(&v.Revoked)
	c.when(&v.Created)
	c.when(&v.Until)
}

// used is a single-use identifier that was spent; only its end is kept.
type used struct{ expires time.Time }

func usedFields(c *codec, v *used) { c.when(&v.expires) }
