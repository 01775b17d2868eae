package pop

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"time"
)

// Nonces are the values a server asks for in proofs, so that none can be made ahead of time (RFC 9449 §8, §11.2). They are
// computed from a key and the time: nothing is stored, and servers with the same key take each other's.
type Nonces struct{ key [32]byte }

// nonceLife is how long one nonce is given out; it is taken for as long again.
const nonceLife = 2 * time.Minute

// NewNonces takes any secret of at least 32 bytes.
func NewNonces(secret []byte) *Nonces {
	n := &Nonces{}
	mac := hmac.New(sha256.New, secret)
	_, _ = mac.Write([]byte("umaas DPoP nonce v1")) // a hash does not fail
	mac.Sum(n.key[:0])
	return n
}

// At is the nonce to give out.
func (n *Nonces) At(now time.Time) string { return n.of(now.UnixMilli() / nonceLife.Milliseconds()) }

func (n *Nonces) of(period int64) string {
	mac := hmac.New(sha256.New, n.key[:])
	_, _ = mac.Write(binary.BigEndian.AppendUint64(nil, uint64(period))) //nolint:gosec // a count of periods
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:18])
}

func (n *Nonces) accept(nonce string, now time.Time) bool {
	period := now.UnixMilli() / nonceLife.Milliseconds()
	fits := 0
	for _, p := range []int64{period, period - 1} {
		fits |= subtle.ConstantTimeCompare([]byte(nonce), []byte(n.of(p)))
	}
	return fits == 1
}
