package umaas

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"strings"
	"testing"
)

// FuzzDistinguishedName: a registered name that is taken fits a certificate with just its attributes, and no other.
func FuzzDistinguishedName(f *testing.F) {
	for _, s := range []string{`CN=app,O=Clinic`, `CN=a\, b+OU=x,C=DE`, `2.5.4.3=x`, `CN=\41`, `CN=#04`, `=`, `CN=`, `CN=a\`, `CN= a\ ,O=x`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, dn string) {
		parsed, err := parseDN(dn)
		if err != nil {
			return
		}
		var subject pkix.RDNSequence
		for i := len(parsed) - 1; i >= 0; i-- {
			var set pkix.RelativeDistinguishedNameSET
			for _, a := range parsed[i] {
				oid, value, _ := strings.Cut(a, "=")
				set = append(set, pkix.AttributeTypeAndValue{Type: numbers(oid), Value: value})
			}
			subject = append(subject, set)
		}
		raw, err := asn1.Marshal(subject)
		if err != nil {
			return // not every string is one in ASN.1
		}
		if !sameSubject(dn, raw) {
			t.Errorf("%q does not fit its own attributes %v", dn, parsed)
		}
		if sameSubject(dn+",CN=more", raw) {
			t.Errorf("%q fits with one attribute more", dn)
		}
	})
}

func numbers(oid string) asn1.ObjectIdentifier {
	var out asn1.ObjectIdentifier
	n := 0
	for _, c := range oid + "." {
		if c == '.' {
			out, n = append(out, n), 0
			continue
		}
		n = n*10 + int(c-'0')
	}
	return out
}
