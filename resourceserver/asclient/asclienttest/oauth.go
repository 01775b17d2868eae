package asclienttest

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/umaas/umaas/umaas/uma"
)

// PATLife is how long access tokens of the fake live.
const PATLife = 10 * time.Minute

func (s *Server) register(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var m map[string]any
	if err := json.NewDecoder(r.Body).Decode(&m); err != nil {
		refuse(w, http.StatusBadRequest, "invalid_client_metadata", err.Error())
		return
	}
	id := s.id("client")
	s.clients[id] = "secret of " + id
	m["client_id"], m["client_secret"] = id, s.clients[id]
	write(w, http.StatusCreated, m)
}

// authorize signs the next person in without asking her anything.
func (s *Server) authorize(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := r.URL.Query()
	to, err := url.Parse(q.Get("redirect_uri"))
	if err != nil || s.clients[q.Get("client_id")] == "" || q.Get("code_challenge_method") != "S256" || q.Get("response_type") != "code" {
		http.Error(w, "bad authorization request", http.StatusBadRequest)
		return
	}
	answer := url.Values{"state": {q.Get("state")}, "iss": {s.HTTP.URL}}
	if s.next.Sub == "" || s.next.Refuses {
		answer.Set("error", "access_denied")
	} else {
		c := s.id("code")
		s.codes[c] = code{
			person: s.next, client: q.Get("client_id"), challenge: q.Get("code_challenge"), nonce: q.Get("nonce"),
			redirect: q.Get("redirect_uri"), scope: q.Get("scope"),
		}
		answer.Set("code", c)
	}
	to.RawQuery = answer.Encode()
	http.Redirect(w, r, to.String(), http.StatusSeeOther) //nolint:gosec // a fake for tests
}

func (s *Server) token(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id, secret, ok := r.BasicAuth()
	id, _ = url.QueryUnescape(id)
	secret, _ = url.QueryUnescape(secret)
	if want := s.clients[id]; !ok || want == "" || secret != want {
		w.Header().Set("WWW-Authenticate", "Basic")
		refuse(w, http.StatusUnauthorized, "invalid_client", "client authentication failed")
		return
	}
	_ = r.ParseForm()
	switch f := r.PostForm; f.Get("grant_type") {
	case uma.GrantTypeClientCredentials:
		s.answer(w, CustodianOwner, id, "", uma.TokenResponse{Scope: f.Get("scope")})
	case uma.GrantTypeRefreshToken:
		owner, known := s.refresh[f.Get("refresh_token")]
		if !known || owner == "" {
			refuse(w, http.StatusBadRequest, "invalid_grant", "refresh token is used or unknown")
			return
		}
		s.refresh[f.Get("refresh_token")] = ""
		s.answer(w, owner, id, s.newRefresh(owner), uma.TokenResponse{})
	case uma.GrantTypeAuthorizationCode:
		s.redeem(w, f, id)
	default:
		refuse(w, http.StatusBadRequest, "unsupported_grant_type", f.Get("grant_type"))
	}
}

func (s *Server) redeem(w http.ResponseWriter, f url.Values, client string) {
	c, known := s.codes[f.Get("code")]
	delete(s.codes, f.Get("code"))
	sum := sha256.Sum256([]byte(f.Get("code_verifier")))
	if !known || c.client != client || c.redirect != f.Get("redirect_uri") || base64.RawURLEncoding.EncodeToString(sum[:]) != c.challenge {
		refuse(w, http.StatusBadRequest, "invalid_grant", "code does not fit")
		return
	}
	now := s.now()
	claims := map[string]any{
		"iss": s.HTTP.URL, "sub": c.person.Sub, "aud": client, "iat": now.Unix(), "exp": now.Add(time.Minute).Unix(), "nonce": c.nonce, "name": c.person.Name,
	}
	if c.person.FHIRUser != "" {
		claims["fhirUser"] = c.person.FHIRUser
	}
	s.answer(w, c.person.Sub, client, s.newRefresh(c.person.Sub), uma.TokenResponse{Scope: c.scope, IDToken: s.sign("JWT", claims)})
}

func (s *Server) newRefresh(owner string) string {
	t := s.id("refresh")
	s.refresh[t] = owner
	return t
}

func (s *Server) answer(w http.ResponseWriter, owner, client, refresh string, r uma.TokenResponse) {
	r.AccessToken, r.TokenType, r.ExpiresIn, r.RefreshToken = s.id("pat"), "Bearer", int64(PATLife.Seconds()), refresh
	s.access[r.AccessToken] = access{owner: owner, client: client, until: s.now().Add(PATLife)}
	write(w, http.StatusOK, r)
}

// Sign makes a JWT with the fake's current key (ES256).
func (s *Server) Sign(typ string, claims map[string]any) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sign(typ, claims)
}

func (s *Server) sign(typ string, claims map[string]any) string {
	return SignWith(s.key, s.keyID, "ES256", typ, claims)
}

// SignWith makes a JWT with any P-256 key and any words in its header.
func SignWith(key *ecdsa.PrivateKey, kid, alg, typ string, claims map[string]any) string {
	header, err := json.Marshal(map[string]string{"alg": alg, "kid": kid, "typ": typ})
	if err != nil {
		panic(err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		panic(err)
	}
	b64 := base64.RawURLEncoding.EncodeToString
	input := b64(header) + "." + b64(payload)
	sum := sha256.Sum256([]byte(input))
	r, sig, err := ecdsa.Sign(rand.Reader, key, sum[:])
	if err != nil {
		panic(err)
	}
	var raw [64]byte
	r.FillBytes(raw[:32])
	sig.FillBytes(raw[32:])
	return strings.Join([]string{input, b64(raw[:])}, ".")
}
