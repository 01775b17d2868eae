package store

import "github.com/umaas/umaas/umaas"

func (t tx) TrustedIssuer(issuer string) (umaas.TrustedIssuer, error) {
	return readAgain(t, plainKey(regionIssuer, issuer), issuerFields)
}

func (t tx) TrustedIssuers(after string, limit int) ([]umaas.TrustedIssuer, error) {
	return page(t, []byte{regionIssuer}, plainKey(regionIssuer, after), limit, issuerFields)
}

func (t tx) PutTrustedIssuer(i umaas.TrustedIssuer) error {
	if err := named("issuer", i.Issuer); err != nil {
		return err
	}
	return t.kv.Put(plainKey(regionIssuer, i.Issuer), encode(&i, issuerFields))
}

func (t tx) DeleteTrustedIssuer(issuer string) error {
	return t.kv.Delete(plainKey(regionIssuer, issuer))
}

func issuerFields(c *codec, v *umaas.TrustedIssuer) {
	text(c, &v.Issuer)
	text(c, &v.Name)
	slice(c, &v.Uses, text[umaas.IssuerUse])
	c.list(&v.Claims)
	c.list(&v.EmailDomains)
	c.list(&v.Algorithms)
	text(c, &v.JWKSURI)
	c.blob(&v.JWKS)
	text(c, &v.Audience)
	text(c, &v.ClientID)
	c.blob(&v.ClientSecret)
	text(c, &v.Endpoints.Authorization)
	text(c, &v.Endpoints.Token)
	text(c, &v.Endpoints.UserInfo)
	c.list(&v.ACRs)
	c.flag(&v.Disabled)
	c.flag(&v.ClientAudience)
	c.when(&v.Created)
	if c.version >= 3 {
		c.flag(&v.InFile)
		c.flag(&v.Dropped)
	}
}
