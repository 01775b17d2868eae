package httpapi

import "testing"

// TestSEC_59_LoneSurrogates: a pair is one character, half of one is refused, and an escaped backslash begins no pair.
func TestSEC_59_LoneSurrogates(t *testing.T) {
	for raw, good := range map[string]bool{
		`"\ud83d\ude00"`:                  true,
		`"a\u0041\n\ud83d\ude00b"`:        true,
		`"\\ud83d"`:                       true, // a backslash, then text
		`{"\ud83d\ude00":"\uD83D\uDE00"}`: true,
		`"\ud83d"`:                        false,
		`"\ude00"`:                        false,
		`"\ude00\ud83d"`:                  false,
		`"\ud83d\ud83d\ude00"`:            false,
		`"\ud83dx\ude00"`:                 false,
		`"\\\ud83d"`:                      false, // a backslash, then half
		`{"a":[{"\udfff":1}]}`:            false,
	} {
		if err := checkJSON([]byte(raw)); (err == nil) != good {
			t.Errorf("%s: %v", raw, err)
		}
	}
}
