package store

import (
	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/uma"
)

// The disk form of records: fields in their order. The order is the format: new fields go to the end,
// under the version that brought them (see codec.go); a field given up stays as a blank.

func accountFields(c *codec, a *umaas.Account) {
	text(c, &a.ID)
	text(c, &a.Kind)
	text(c, &a.Login)
	text(c, &a.Name)
	text(c, &a.Email)
	c.flag(&a.EmailVerified)
	text(c, &a.PasswordHash)
	text(c, &a.FHIRUser)
	slice(c, &a.Claims, claimFields)
	slice(c, &a.Roles, text[umaas.Role])
	c.flag(&a.Disabled)
	c.when(&a.Created)
	if c.version >= 2 {
		slice(c, &a.Identities, identityFields)
	}
}

func identityFields(c *codec, v *umaas.Identity) {
	text(c, &v.Issuer)
	text(c, &v.Subject)
}

func claimFields(c *codec, v *umaas.Claim) {
	text(c, &v.Issuer)
	text(c, &v.Name)
	text(c, &v.Value)
}

func clientFields(c *codec, v *umaas.Client) {
	text(c, &v.ID)
	text(c, &v.Name)
	text(c, &v.AuthMethod)
	c.hash(&v.SecretHash)
	c.list(&v.RedirectURIs)
	c.list(&v.ClaimsRedirectURIs)
	c.list(&v.GrantTypes)
	c.list(&v.Scopes)
	c.blob(&v.JWKS)
	text(c, &v.ClientURI)
	text(c, &v.PolicyURI)
	text(c, &v.TOSURI)
	c.list(&v.Contacts)
	text(c, &v.RPTFormat)
	c.list(&v.Audience)
	text(c, &v.Account)
	text(c, &v.IDTokenAlg)
	c.flag(&v.Dynamic)
	text(c, &v.CheckedBy)
	c.when(&v.CheckedAt)
	c.flag(&v.Disabled)
	c.when(&v.Created)
	if c.version >= 2 {
		c.flag(&v.PushClaims)
		c.flag(&v.DPoPBound)
		c.flag(&v.TLSBound)
		text(c, &v.TLSSubject)
		text(c, &v.TLSName)
	}
}

// resourceRecord is a resource without what its key says (owner, resource server, id), and with its scopes by hash where
// they are long.
type resourceRecord struct {
	umaas.Resource
	scopes scopeHash // zero: Description.Scopes stand in the record
}

func resourceFields(c *codec, v *resourceRecord) {
	d := &v.Description
	c.raw(v.scopes[:])
	if v.scopes == (scopeHash{}) {
		c.list(&d.Scopes)
	}
	text(c, &d.ID)
	text(c, &d.Name)
	text(c, &d.Type)
	text(c, &d.Description)
	text(c, &d.IconURI)
	optional(c, &d.Context, func(c *codec, v *uma.ResourceContext) {
		text(c, &v.Level)
		text(c, &v.Label)
		text(c, &v.FHIRBase)
		text(c, &v.Patient)
	})
	optional(c, &d.DerivedFrom, func(c *codec, v *uma.DerivedFrom) {
		text(c, &v.ResourceID)
		c.flag(&v.Custodian)
	})
	text(c, &d.PreviewURI)
	table(c, &d.Extra)
	c.when(&v.Created)
	c.when(&v.Updated)
}

func policyFields(c *codec, v *umaas.Policy) {
	text(c, &v.ID)
	text(c, &v.Owner)
	whoFields(c, &v.Who)
	text(c, &v.Client)
	slice(c, &v.Rules, func(c *codec, v *umaas.Rule) {
		text(c, &v.Resource)
		text(c, &v.RS)
		c.list(&v.Scopes)
		slice(c, &v.Constraints, constraintFields)
	})
	c.list(&v.Purposes)
	c.when(&v.NotAfter)
	text(c, &v.Origin)
	c.key(&v.Request)
	text(c, &v.Label)
	c.when(&v.Created)
	c.when(&v.Revoked)
	if c.version >= 2 {
		text(c, &v.By)
		slice(c, &v.Also, claimFields)
		text(c, &v.MinACR)
		text(c, &v.Terms)
		c.flag(&v.BreakGlass)
		c.key(&v.Invitation)
	}
}

func whoFields(c *codec, v *umaas.Who) {
	text(c, &v.Kind)
	text(c, &v.Account)
	text(c, &v.Email)
	claimFields(c, &v.Claim)
	text(c, &v.Client)
	text(c, &v.Name)
}

func constraintFields(c *codec, v *uma.Constraint) {
	text(c, &v.Type)
	text(c, &v.Value)
}

func permissionFields(c *codec, v *uma.Permission) {
	text(c, &v.ResourceID)
	c.list(&v.Scopes)
	slice(c, &v.Constraints, constraintFields)
	number(c, &v.Exp)
	number(c, &v.Iat)
	number(c, &v.Nbf)
}

func partyFields(c *codec, v *umaas.Party) {
	text(c, &v.Account)
	slice(c, &v.Claims, claimFields)
	c.when(&v.AuthTime)
	c.list(&v.AMR)
	if c.version >= 2 {
		text(c, &v.ACR)
	}
	if c.version >= 3 {
		c.when(&v.Stated)
	}
}

func confirmationFields(c *codec, v *umaas.Confirmation) {
	text(c, &v.JKT)
	text(c, &v.X5T)
}

func requestFields(c *codec, v *umaas.Request) {
	c.key(&v.Key)
	text(c, &v.Owner)
	c.key(&v.Process)
	text(c, &v.RS)
	text(c, &v.Client)
	partyFields(c, &v.Party)
	text(c, &v.PartyName)
	text(c, &v.PartyEmail)
	slice(c, &v.Permissions, permissionFields)
	text(c, &v.Purpose)
	text(c, &v.Note)
	text(c, &v.State)
	text(c, &v.Policy)
	c.when(&v.Silent)
	number(c, &v.Repeats)
	c.when(&v.Created)
	c.when(&v.Answered)
	c.when(&v.Expires)
	if c.version >= 2 {
		text(c, &v.By)
		c.when(&v.Undone)
		c.flag(&v.BreakGlass)
		slice(c, &v.Says, claimFields)
	}
}

func auditFields(c *codec, v *umaas.AuditEvent) {
	c.key(&v.Key)
	text(c, &v.Owner)
	text(c, &v.Type)
	number(c, &v.Outcome)
	text(c, &v.Reason)
	text(c, &v.Actor)
	text(c, &v.Client)
	text(c, &v.RS)
	text(c, &v.Resource)
	c.key(&v.Grant)
	c.key(&v.Process)
	text(c, &v.Policy)
	c.list(&v.Scopes)
	optional(c, &v.Access, func(c *codec, v *umaas.Access) {
		text(c, &v.ID)
		text(c, &v.Interaction)
		c.list(&v.Types)
		number(c, &v.Count)
		text(c, &v.Outcome)
		text(c, &v.Reason)
	})
	text(c, &v.RequestID)
	c.when(&v.Time)
}
