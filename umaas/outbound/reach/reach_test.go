package reach

import (
	"context"
	"errors"
	"net/netip"
	"testing"
)

func TestSEC_75_Addresses(t *testing.T) {
	d := Dialer{}
	for _, tc := range []struct {
		addr string
		want bool
	}{
		{"93.184.216.34", true}, {"2606:4700::1111", true},
		{"127.0.0.1", false}, {"10.1.2.3", false}, {"172.16.0.1", false}, {"192.168.1.1", false}, {"169.254.169.254", false},
		{"100.64.0.1", false}, {"0.0.0.0", false}, {"198.18.0.1", false}, {"255.255.255.255", false}, {"224.0.0.1", false}, {"240.0.0.1", false},
		{"::1", false}, {"::", false}, {"fe80::1", false}, {"fc00::1", false}, {"fec0::1", false}, {"ff02::1", false},
		{"::ffff:127.0.0.1", false}, {"::ffff:10.0.0.1", false}, {"::127.0.0.1", false}, {"64:ff9b::7f00:1", false}, {"2002:7f00:1::", false}, {"2001::1", false},
		{"::ffff:93.184.216.34", true}, {"fe80::1%eth0", false}, {"192.0.2.1", false}, {"3fff::1", false},
	} {
		if got := d.Allowed(netip.MustParseAddr(tc.addr)); got != tc.want {
			t.Errorf("%s: allowed %v, want %v", tc.addr, got, tc.want)
		}
	}
	d = Dialer{Private: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}}
	if !d.Allowed(netip.MustParseAddr("127.0.0.1")) || !d.Allowed(netip.MustParseAddr("::ffff:127.0.0.1")) || d.Allowed(netip.MustParseAddr("10.0.0.1")) {
		t.Error("Private opens exactly the ranges it names")
	}
}

// TestSEC_75_MixedAnswer: one forbidden address refuses the name, and nothing is dialled.
func TestSEC_75_MixedAnswer(t *testing.T) {
	d := Dialer{Lookup: func(context.Context, string) ([]netip.Addr, error) {
		return []netip.Addr{netip.MustParseAddr("93.184.216.34"), netip.MustParseAddr("127.0.0.1")}, nil
	}}
	if _, err := d.DialContext(t.Context(), "tcp", "mixed.example:443"); !errors.Is(err, ErrRefused) {
		t.Errorf("%v", err)
	}
	d.Lookup = func(context.Context, string) ([]netip.Addr, error) { return nil, nil }
	if _, err := d.DialContext(t.Context(), "tcp", "nowhere.example:443"); !errors.Is(err, ErrRefused) {
		t.Errorf("%v", err)
	}
}
