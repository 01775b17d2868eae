package grant

import (
	"encoding/base64"
	"math"
	"strings"

	"github.com/umaas/umaas/conformance"
)

// samples is how many values of a kind are looked at; enough to see 64 different characters at one position.
const samples = 120

// wantUnguessable estimates how much of a value is unpredictable (RFC 6749 §10.10: the chance to guess one is at most
// 2^-128): the sum over its positions of the entropy seen there, up to the length of the shortest value. Constant prefixes, time
// stamps and counters count for little, because most of their positions hardly vary; positions that hang together are taken
// for independent, so that a value which is only scrambled passes.
func wantUnguessable(t *conformance.T, what string, values []string) {
	seen := map[string]bool{}
	for _, v := range values {
		if seen[v] {
			t.Errorf("of %d %s two are equal", len(values), what)
			return
		}
		seen[v] = true
	}
	if bits := entropy(values); bits < 128-tolerance {
		t.Errorf("%s show about %.0f unpredictable bits: want 128", what, bits)
	}
}

// tolerance in bits: what the estimate from so few values may be wrong by.
const tolerance = 3

// entropy is the sum of the Shannon entropies of the positions that all values have, each corrected for the size of the
// sample (Miller and Madow).
func entropy(values []string) float64 {
	shortest := len(values[0])
	for _, v := range values {
		shortest = min(shortest, len(v))
	}
	total := 0.0
	for at := range shortest {
		count := map[byte]int{}
		for _, v := range values {
			count[v[at]]++
		}
		for _, n := range count {
			p := float64(n) / float64(len(values))
			total -= p * math.Log2(p)
		}
		total += float64(len(count)-1) / (2 * math.Ln2 * float64(len(values)))
	}
	return total
}

// telling is the shortest text that does not turn up in random values by chance.
const telling = 5

// wantOpaque judges that none of the secrets can be read in a value, as it stands or decoded as base64url, base64 or the
// parts of a JWT (Grant §1.3, §3.3.5).
func wantOpaque(t *conformance.T, what, value string, secrets ...string) {
	for _, text := range readings(value) {
		for _, s := range secrets {
			if len(s) >= telling && strings.Contains(strings.ToLower(text), strings.ToLower(s)) {
				t.Errorf("%s can be read: it holds %q", what, s)
			}
		}
	}
}

// readings are all plain readings of an opaque value.
func readings(value string) []string {
	out := []string{value}
	for _, part := range append(strings.Split(value, "."), value) {
		for _, e := range []*base64.Encoding{base64.RawURLEncoding, base64.RawStdEncoding} {
			if raw, err := e.DecodeString(strings.TrimRight(part, "=")); err == nil {
				out = append(out, string(raw))
			}
		}
	}
	return out
}
