// Package reach is where connections may go when somebody else named the address: to public ones alone, unless the operator
// allows more. It is a leaf that the authorization server's and the resource server's guarded clients share, so that there is
// one list of what is not public. It judges addresses after the name was resolved, and connects to what it judged: a name
// cannot change in between.
package reach

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"
)

// ErrRefused is wrapped by every connection that is not made on purpose.
var ErrRefused = errors.New("outbound request refused")

// Dialer connects to allowed addresses. Lookup is required.
type Dialer struct {
	Private []netip.Prefix // allowed beside public addresses
	Lookup  func(ctx context.Context, host string) ([]netip.Addr, error)
	Timeout time.Duration // of one connection; zero: none
}

// DialContext resolves a name once, judges every address of it, and connects to the first that answers.
func (d Dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	var addrs []netip.Addr
	if literal, err := netip.ParseAddr(host); err == nil {
		addrs = []netip.Addr{literal}
	} else if addrs, err = d.Lookup(ctx, host); err != nil {
		return nil, fmt.Errorf("resolve %s: %w", host, err)
	}
	for _, a := range addrs {
		// One forbidden address refuses the name: a mixed answer is how a name is made to point inside.
		if !d.Allowed(a) {
			return nil, fmt.Errorf("%w: %s is no public address", ErrRefused, host)
		}
	}
	dialer := net.Dialer{Timeout: d.Timeout}
	failed := fmt.Errorf("%w: %s has no address", ErrRefused, host)
	for _, a := range addrs {
		conn, err := dialer.DialContext(ctx, network, net.JoinHostPort(a.String(), port))
		if err == nil {
			return conn, nil
		}
		failed = err
	}
	return nil, failed
}

// Allowed reports an address that is public, or that the operator allows.
func (d Dialer) Allowed(a netip.Addr) bool {
	if a.Zone() != "" {
		return false
	}
	a = a.Unmap()
	contains := func(p netip.Prefix) bool { return p.Contains(a) }
	switch {
	case slices.ContainsFunc(d.Private, contains):
		return true
	case !a.IsValid() || !a.IsGlobalUnicast() || a.IsPrivate():
		return false
	default:
		return !slices.ContainsFunc(notPublic[:], contains)
	}
}

// notPublic are the ranges that are unicast but not public: shared, test, benchmark and reserved ones, and those that carry
// an IPv4 address inside (translation, 6to4, Teredo).
var notPublic = [...]netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("192.88.99.0/24"), netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("198.51.100.0/24"), netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("::/96"), netip.MustParsePrefix("64:ff9b::/96"), netip.MustParsePrefix("64:ff9b:1::/48"), netip.MustParsePrefix("100::/64"),
	netip.MustParsePrefix("2001::/23"), netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("2002::/16"), netip.MustParsePrefix("3fff::/20"),
	netip.MustParsePrefix("fec0::/10"),
}
