package umaas

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"strings"
	"time"
)

// StartTrip begins a sign-in at an issuer. Errors: ErrUntrusted; ErrStep where the flow waits for no sign-in; ErrFlowGone,
// ErrOtherBrowser, ErrOtherPerson; ErrNotFresh where an identity is to be linked and the sign-in is more than five minutes ago.
func (s *Service) StartTrip(ctx context.Context, q TripRequest, b Browser) (TripStart, error) {
	var random [secretBytes]byte
	if _, err := io.ReadFull(s.Random, random[:]); err != nil {
		return TripStart{}, fmt.Errorf("read randomness: %w", err)
	}
	now := s.Now()
	var out TripStart
	err := s.Store.Update(ctx, func(tx Tx) error {
		i, err := issuerByID(tx, q.Issuer)
		if err != nil {
			return err
		}
		trip := Trip{State: sha256.Sum256(random[:]), Issuer: i.Issuer, MaxAge: -1, To: q.To, Started: now}
		out = TripStart{Issuer: i, ID: q.Issuer, Browser: string(b)}
		id := q.Flow
		if id == "" {
			id, err = s.aloneTrip(tx, q, &trip, &out, b, now)
		} else {
			err = s.flowTrip(tx, q, &trip, &out, b, now)
		}
		if err != nil {
			return err
		}
		out.State, out.MaxAge = id+"~"+base64.RawURLEncoding.EncodeToString(random[:]), trip.MaxAge
		out.ACRValues = acrsFor(i, trip.ACR)
		if trip.ACR == "" {
			out.ACRValues = nil
		}
		out.Nonce, out.Verifier, err = Browser(out.Browser).tripSecrets(out.State)
		return err
	})
	return out, err
}

// recent: she signed in not long ago; by an issuer's word counts when she came from there.
func (s Session) recent(now time.Time) bool {
	at := s.AuthTime
	if s.Upstream != (Identity{}) {
		at = s.Created
	}
	return now.Sub(at) <= stepUpMaxAge
}

// aloneTrip makes a flow of its own for a sign-in that leads to one of our pages.
func (s *Service) aloneTrip(tx Tx, q TripRequest, trip *Trip, out *TripStart, b Browser, now time.Time) (string, error) {
	if q.Link {
		if q.Session == nil {
			return "", ErrOtherPerson
		}
		if !q.Session.recent(now) {
			return "", ErrNotFresh // whoever finds a browser open must not get a key of his own to the account
		}
		trip.Link = q.Session.Account
	}
	started, err := s.startFlow(tx, Flow{Kind: FlowSignIn, Account: trip.Link, Trip: trip}, b, now)
	out.Browser = started.Browser
	return started.ID, err
}

// flowTrip puts the trip into the flow that waits, with what that flow asks of the sign-in (OpenID Connect Core §3.1.2.1).
func (s *Service) flowTrip(tx Tx, q TripRequest, trip *Trip, out *TripStart, b Browser, now time.Time) error {
	f, err := s.openFlow(tx, q.Flow, b, now)
	if err != nil {
		return err
	}
	v, _, err := s.view(tx, f, q.Flow, q.Session)
	switch {
	case err != nil:
		return err
	case v.Step == StepStepUp:
		trip.ACR, trip.MaxAge = v.StepUp.ACR, int(stepUpMaxAge/time.Second)
	case v.Step != StepSignIn:
		return ErrStep
	case f.Authorize != nil && f.Authorize.Prompt == "login":
		trip.MaxAge, out.Login = 0, true
	case f.Authorize != nil:
		trip.MaxAge = f.Authorize.MaxAge
	}
	f.Trip = trip
	return tx.PutFlow(f)
}

// tripSecrets derives what proves that an answer belongs to this browser: the nonce (OpenID Connect Core §3.1.3.7) and the
// PKCE verifier (RFC 7636 §4.1).
func (b Browser) tripSecrets(state string) (nonce, verifier string, err error) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(string(b))
	if err != nil || len(raw) != secretBytes {
		return "", "", ErrOtherBrowser
	}
	derive := func(label string) string {
		mac := hmac.New(sha256.New, raw)
		mac.Write([]byte(label + "\x00" + state))
		return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
	}
	return derive("nonce"), derive("verifier"), nil
}

// TakeTrip spends the state of an answer, whatever the answer says. Errors: ErrFlowGone for a state that is unknown, used or
// over, ErrOtherBrowser, ErrUntrusted.
func (s *Service) TakeTrip(ctx context.Context, state string, b Browser) (TripBack, error) {
	cut := strings.LastIndexByte(state, '~')
	if cut < 0 || len(state) > 200 {
		return TripBack{}, ErrFlowGone
	}
	random, err := base64.RawURLEncoding.Strict().DecodeString(state[cut+1:])
	if err != nil {
		return TripBack{}, ErrFlowGone
	}
	now := s.Now()
	out := TripBack{}
	trusted := true
	err = s.Store.Update(ctx, func(tx Tx) error {
		f, err := s.openFlow(tx, state[:cut], b, now)
		if err != nil {
			return err
		}
		if f.Trip == nil || !f.Trip.State.Matches(random) {
			return ErrFlowGone
		}
		out = TripBack{To: f.Trip.To, trip: *f.Trip, ID: IssuerID(f.Trip.Issuer)}
		if f.Kind == FlowSignIn {
			err = tx.DeleteFlow(f.Key)
		} else {
			out.Flow, f.Trip = state[:cut], nil
			err = tx.PutFlow(f)
		}
		if err != nil {
			return gone(err)
		}
		out.Issuer, err = tx.TrustedIssuer(out.trip.Issuer)
		absent, err := absent(err)
		trusted = !absent && out.Issuer.signsIn()
		return err
	})
	switch {
	case err != nil:
		return TripBack{}, err
	case !trusted:
		return TripBack{Flow: out.Flow, To: out.To}, ErrUntrusted
	}
	if out.Nonce, out.Verifier, err = b.tripSecrets(state); err != nil {
		return TripBack{}, err
	}
	out.Secret, err = s.openSecret(out.Issuer)
	return out, err
}
