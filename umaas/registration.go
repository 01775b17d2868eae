package umaas

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/umaas/umaas/umaas/uma"
)

// ClientMetadata is what a client says of itself (RFC 7591 §2) with claims_redirect_uris of Grant §2 and two members of
// this project: rpt_format, and resource, the URLs a resource server answers for (RFC 8707).
type ClientMetadata struct {
	RedirectURIs       []string        `json:"redirect_uris,omitempty"`
	ClaimsRedirectURIs []string        `json:"claims_redirect_uris,omitempty"`
	AuthMethod         AuthMethod      `json:"token_endpoint_auth_method,omitempty"`
	GrantTypes         []string        `json:"grant_types,omitempty"`
	ResponseTypes      []string        `json:"response_types,omitempty"`
	Name               string          `json:"client_name,omitempty"`
	ClientURI          string          `json:"client_uri,omitempty"`
	PolicyURI          string          `json:"policy_uri,omitempty"`
	TOSURI             string          `json:"tos_uri,omitempty"`
	Scope              string          `json:"scope,omitempty"`
	Contacts           []string        `json:"contacts,omitempty"`
	JWKS               json.RawMessage `json:"jwks,omitempty"`
	JWKSURI            string          `json:"jwks_uri,omitempty"`
	IDTokenAlg         string          `json:"id_token_signed_response_alg,omitempty"`
	RPTFormat          RPTFormat       `json:"rpt_format,omitempty"`
	Resource           []string        `json:"resource,omitempty"`
	BindingMetadata
}

// ClientInformation is the answer to a registration (RFC 7591 §3.2.1): what was registered, defaults filled in, with the
// id and, once and never again, the secret.
type ClientInformation struct {
	ClientID     ClientID `json:"client_id"`
	ClientSecret string   `json:"client_secret,omitempty"`
	IssuedAt     int64    `json:"client_id_issued_at"`
	SecretEnds   *int64   `json:"client_secret_expires_at,omitempty"` // 0, it does not; present iff there is a secret
	ClientMetadata
}

// Register is dynamic client registration (RFC 7591 §3.1). The client is marked Dynamic: pages say that nobody has checked
// it. All mistakes are reported at once; the code is invalid_redirect_uri when redirect URIs alone are wrong.
func (s *Service) Register(ctx context.Context, m ClientMetadata, requestID string) (ClientInformation, error) {
	now := s.Now()
	c, mistakes := m.client()
	c.Dynamic, c.Created = true, now
	mistakes = append(mistakes, checkClient(c)...)
	mistakes = append(mistakes, s.checkBinding(c)...)
	mistakes = append(mistakes, s.checkProfile(c)...)
	if err := registrationError(mistakes); err != nil {
		return ClientInformation{}, err
	}
	c, secret, err := s.storeNewClient(ctx, c, AuditEvent{Type: "client-registered", RequestID: requestID}, now)
	if errors.Is(err, errAudienceTaken) {
		return ClientInformation{}, uma.ErrInvalidMetadata.With("resource: another client answers for that URL; an administrator can change that")
	}
	if err != nil {
		return ClientInformation{}, err
	}
	return information(c, secret), nil
}

// client translates metadata into a client, defaults of RFC 7591 §2 filled in, and reports what cannot be translated.
func (m ClientMetadata) client() (Client, []mistake) {
	var wrong []mistake
	c := Client{
		Name: strings.TrimSpace(m.Name), AuthMethod: m.AuthMethod, RedirectURIs: m.RedirectURIs, ClaimsRedirectURIs: m.ClaimsRedirectURIs,
		GrantTypes: m.GrantTypes, JWKS: m.JWKS, ClientURI: m.ClientURI, PolicyURI: m.PolicyURI, TOSURI: m.TOSURI, Contacts: m.Contacts,
		RPTFormat: m.RPTFormat, Audience: m.Resource, IDTokenAlg: m.IDTokenAlg,
	}
	scopes, err := splitScope(m.Scope)
	if err != nil {
		wrong = append(wrong, mistake{"scope", "want scope tokens separated by spaces"})
	}
	c.Scopes = scopes
	if m.JWKSURI != "" {
		wrong = append(wrong, mistake{"jwks_uri", "is not fetched; send the keys as jwks"})
	}
	for _, t := range m.ResponseTypes {
		if t != responseCode {
			wrong = append(wrong, mistake{"response_types", "code is the only one offered"})
			break
		}
	}
	wrong = append(wrong, m.BindingMetadata.fill(&c)...)
	return withDefaults(c), wrong
}

func withDefaults(c Client) Client {
	if c.AuthMethod == "" {
		c.AuthMethod = AuthSecretBasic
	}
	if len(c.GrantTypes) == 0 {
		c.GrantTypes = []string{uma.GrantTypeAuthorizationCode}
	}
	if c.RPTFormat == "" {
		c.RPTFormat = RPTOpaque
	}
	if c.IDTokenAlg == "" {
		c.IDTokenAlg = "RS256"
	}
	return c
}

func information(c Client, secret string) ClientInformation {
	i := ClientInformation{
		ClientID: c.ID, ClientSecret: secret, IssuedAt: c.Created.Unix(),
		ClientMetadata: ClientMetadata{
			RedirectURIs: c.RedirectURIs, ClaimsRedirectURIs: c.ClaimsRedirectURIs, AuthMethod: c.AuthMethod, GrantTypes: c.GrantTypes,
			Name: c.Name, ClientURI: c.ClientURI, PolicyURI: c.PolicyURI, TOSURI: c.TOSURI, Scope: strings.Join(c.Scopes, " "),
			Contacts: c.Contacts, JWKS: c.JWKS, IDTokenAlg: c.IDTokenAlg, RPTFormat: c.RPTFormat, Resource: c.Audience,
			BindingMetadata: bindingOf(c),
		},
	}
	if c.MayUse(uma.GrantTypeAuthorizationCode) {
		i.ResponseTypes = []string{responseCode}
	}
	if secret != "" {
		i.SecretEnds = new(int64)
	}
	return i
}

// mistake is one thing wrong with a client: the member and what to do. Its text never repeats what was sent.
type mistake struct{ member, advice string }

func registrationError(mistakes []mistake) error {
	if len(mistakes) == 0 {
		return nil
	}
	kind := uma.ErrInvalidRedirectURI
	var texts []string
	for _, m := range mistakes {
		if !strings.HasPrefix(m.member, "redirect_uris") {
			kind = uma.ErrInvalidMetadata
		}
		texts = append(texts, m.member+": "+m.advice)
	}
	return kind.With(strings.Join(texts, "; "))
}

// storeNewClient gives a checked client its id and secret and stores it, with the organization it stands for where it will
// need a PAT of its own.
func (s *Service) storeNewClient(ctx context.Context, c Client, event AuditEvent, now time.Time) (Client, string, error) {
	id, err := s.newID(clientPrefix)
	if err != nil {
		return Client{}, "", err
	}
	c.ID = ClientID(id)
	secret, err := s.newSecret(&c)
	if err != nil {
		return Client{}, "", err
	}
	var organization *Account
	if c.IsResourceServer() && c.MayUse(uma.GrantTypeClientCredentials) && c.Account == "" {
		// A resource server's own PAT needs a resource owner: itself, as a legal person (FedAuthz §1.3, F-011). Nobody can
		// sign in as it.
		accountID, err := s.newID(accountPrefix)
		if err != nil {
			return Client{}, "", err
		}
		c.Account = AccountID(accountID)
		organization = &Account{ID: c.Account, Kind: KindOrganization, Login: strings.ToLower(id), Name: c.Name, Created: now}
	}
	event.Outcome, event.Client = OutcomeSuccess, c.ID
	err = s.Store.Update(ctx, func(tx Tx) error {
		if organization != nil {
			if err := tx.PutAccount(*organization); err != nil {
				return err
			}
		}
		if err := claimAudience(tx, c); err != nil {
			return err
		}
		if err := tx.PutClient(c); err != nil {
			return err
		}
		return s.auditOAuth(tx, now, event)
	})
	if err != nil {
		return Client{}, "", fmt.Errorf("store client: %w", err)
	}
	return c, secret, nil
}
