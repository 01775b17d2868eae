package main

import (
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/umaas/umaas/cmd/umaas/server"
	"github.com/umaas/umaas/umaas"
)

// signInCommand administers where people may sign in beside this server.
func signInCommand() *cobra.Command {
	o := &operate{}
	back := &cobra.Command{
		Use: "back ISSUER", Short: "Print the redirect URI to register at an issuer", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			var v server.SignInIssuerView
			return o.call(c, atAS, "sign-in-back", server.Named{Name: args[0]}, &v, func(w io.Writer) { line(w, v.Back) })
		},
	}
	list := &cobra.Command{Use: "list", Short: "List issuers at which people may sign in", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		var vs []server.SignInIssuerView
		return o.call(c, atAS, "sign-in-list", struct{}{}, &vs, func(w io.Writer) {
			for _, v := range vs {
				line(w, v.Issuer, v.Name, v.ClientID, strings.Join(v.ACRs, ","), mark(v.Disabled, "disabled"))
			}
		})
	}}
	return group("sign-in", "Signing in at trusted OpenID providers", `People may sign in at a hospital or a national provider that is trusted for it. Register this server there as a client with the
address that "umaas sign-in back" prints, then set what the provider gave you.`, o, back, setSignIn(o), list)
}

func setSignIn(o *operate) *cobra.Command {
	var n umaas.SignInSetup
	set := &cobra.Command{
		Use: "set ISSUER", Short: "Trust an issuer for sign-in; our client secret there is read from standard input", Args: cobra.ExactArgs(1),
		Example: `  umaas sign-in set https://login.hospital.example --name 'Example Hospital' --client-id umaas --authorization https://login.hospital.example/authorize --token https://login.hospital.example/token --jwks-uri https://login.hospital.example/jwks`,
		RunE: func(c *cobra.Command, args []string) (err error) {
			n.Issuer = args[0]
			if !n.Public {
				if n.Secret, err = password(c.InOrStdin(), c.ErrOrStderr()); err != nil {
					return err
				}
			}
			var v server.SignInIssuerView
			return o.call(c, atAS, "sign-in-set", n, &v, func(w io.Writer) { line(w, v.Issuer, v.Name, v.ClientID, v.Back) })
		},
	}
	f := set.Flags()
	f.StringVar(&n.Name, "name", "", "as people know it; stands on the sign-in page")
	f.StringVar(&n.ClientID, "client-id", "", "this server's client identifier there")
	f.BoolVar(&n.Public, "public", false, "this server has no secret there")
	f.StringVar(&n.Authorization, "authorization", "", "its authorization endpoint")
	f.StringVar(&n.Token, "token", "", "its token endpoint")
	f.StringVar(&n.JWKSURI, "jwks-uri", "", "where its public keys are")
	f.StringArrayVar(&n.ACRs, "acr", nil, "kind of sign-in that counts here: urn:umaas:acr:…, or theirs=ours (repeatable)")
	return set
}
