package umaas

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
)

// sameSubject compares a registered distinguished name (RFC 4514) with a certificate's subject: the same attributes with the
// same values, to the letter, in the same order.
func sameSubject(registered string, rawSubject []byte) bool {
	want, err := parseDN(registered)
	if err != nil {
		return false
	}
	var subject pkix.RDNSequence
	if rest, err := asn1.Unmarshal(rawSubject, &subject); err != nil || len(rest) > 0 || len(subject) != len(want) {
		return false
	}
	for i, set := range subject {
		var got []string
		for _, a := range set {
			value, ok := a.Value.(string)
			if !ok {
				return false // a value that is no text has no one written form
			}
			got = append(got, a.Type.String()+"="+value)
		}
		slices.Sort(got)
		if !slices.Equal(got, want[len(want)-1-i]) { // written last to first (RFC 4514 §2.1)
			return false
		}
	}
	return len(want) > 0
}

// attributeTypes are the short names of RFC 4514 §3, with the ones certificates use besides.
var attributeTypes = map[string]string{
	"CN": "2.5.4.3", "L": "2.5.4.7", "ST": "2.5.4.8", "O": "2.5.4.10", "OU": "2.5.4.11", "C": "2.5.4.6", "STREET": "2.5.4.9",
	"DC": "0.9.2342.19200300.100.1.25", "UID": "0.9.2342.19200300.100.1.1", "SERIALNUMBER": "2.5.4.5", "POSTALCODE": "2.5.4.17",
	"EMAILADDRESS": "1.2.840.113549.1.9.1",
}

var errDN = errors.New("want a distinguished name such as CN=app,O=Clinic,C=DE (RFC 4514)")

// maxDN bounds a registered name, in bytes.
const maxDN = 1000

// parseDN reads the string form of RFC 4514 §3 into its relative names, each a sorted list of "oid=value", in the order
// written. Values in hexadecimal (#…) are not taken.
func parseDN(s string) ([][]string, error) {
	if s == "" || len(s) > maxDN {
		return nil, errDN
	}
	var out [][]string
	var rdn []string
	for {
		name, rest, ok := strings.Cut(s, "=")
		if !ok {
			return nil, errDN
		}
		oid, ok := attributeOID(strings.TrimSpace(name))
		if !ok {
			return nil, errDN
		}
		value, next, rest, ok := dnValue(rest)
		if !ok {
			return nil, errDN
		}
		rdn = append(rdn, oid+"="+value)
		if next != '+' {
			slices.Sort(rdn)
			out, rdn = append(out, rdn), nil
		}
		if next == 0 {
			return out, nil
		}
		s = rest
	}
}

func attributeOID(name string) (string, bool) {
	if oid, ok := attributeTypes[strings.ToUpper(name)]; ok {
		return oid, true
	}
	numbers := strings.Split(name, ".")
	for _, n := range numbers {
		if n == "" || len(n) > 9 || strings.Trim(n, "0123456789") != "" || len(n) > 1 && n[0] == '0' {
			return "", false
		}
	}
	return name, len(numbers) > 1
}

// dnValue reads one value up to an unescaped "," or "+" (next; 0 at the end). Blanks around it do not count unless escaped.
func dnValue(s string) (value string, next byte, rest string, ok bool) {
	s = strings.TrimLeft(s, " ")
	if strings.HasPrefix(s, "#") {
		return "", 0, "", false
	}
	var b strings.Builder
	kept := 0 // length up to the last byte that is no unescaped blank
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case '\\':
			char, size, ok := unescapeDN(s[i+1:])
			if !ok {
				return "", 0, "", false
			}
			b.WriteByte(char)
			i += size
			kept = b.Len()
		case ',', '+':
			return b.String()[:kept], c, s[i+1:], kept > 0
		case '"', ';', '<', '>', 0:
			return "", 0, "", false
		default:
			b.WriteByte(c)
			if c != ' ' {
				kept = b.Len()
			}
		}
	}
	return b.String()[:kept], 0, "", kept > 0
}

// unescapeDN reads what follows a backslash: a special character, or two hexadecimal digits.
func unescapeDN(s string) (char byte, size int, ok bool) {
	if s != "" && strings.IndexByte(` "#+,;<=>\`, s[0]) >= 0 {
		return s[0], 1, true
	}
	if len(s) < 2 {
		return 0, 0, false
	}
	pair, err := hex.DecodeString(s[:2])
	if err != nil {
		return 0, 0, false
	}
	return pair[0], 2, true
}
