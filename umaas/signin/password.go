package signin

import (
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
)

// Cost of argon2id. Memory is in KiB.
type Cost struct {
	Memory  uint32
	Time    uint32
	Threads uint8
}

// DefaultCost follows the usual advice for argon2id: 19 MiB, two passes, one thread.
func DefaultCost() Cost { return Cost{Memory: 19 << 10, Time: 2, Threads: 1} }

// DemoCost is for tests and the demo with throw-away people alone: about 1 MiB, so that many sign in at once on a small
// machine. It protects no real password.
func DemoCost() Cost { return Cost{Memory: 1 << 10, Time: 1, Threads: 1} }

// Bounds of what a stored hash may ask of this machine, and of a password.
const (
	maxMemory   = 1 << 20 // KiB
	maxTime     = 16
	maxThreads  = 16
	saltBytes   = 16
	hashBytes   = 32
	MinPassword = 8    // characters, for new passwords (NIST SP 800-63B)
	MaxPassword = 1024 // bytes
)

var encode = base64.RawStdEncoding.Strict()

func (c Cost) valid() bool {
	return c.Memory >= 8*uint32(c.Threads) && c.Memory <= maxMemory && c.Time >= 1 && c.Time <= maxTime && c.Threads >= 1 && c.Threads <= maxThreads
}

// HashPassword makes the PHC string of a password: $argon2id$v=19$m=…,t=…,p=…$salt$hash.
func HashPassword(password string, cost Cost, random io.Reader) (string, error) {
	switch {
	case !cost.valid():
		return "", errors.New("password: cost is out of bounds")
	case len([]rune(password)) < MinPassword:
		return "", fmt.Errorf("password: want at least %d characters", MinPassword)
	case len(password) > MaxPassword:
		return "", fmt.Errorf("password: want at most %d bytes", MaxPassword)
	}
	salt := make([]byte, saltBytes)
	if _, err := io.ReadFull(random, salt); err != nil {
		return "", fmt.Errorf("password: read randomness: %w", err)
	}
	return phc{cost: cost, salt: salt, hash: cost.derive(password, salt, hashBytes)}.String(), nil
}

func (c Cost) derive(password string, salt []byte, size int) []byte {
	return argon2.IDKey([]byte(password), salt, c.Time, c.Memory, c.Threads, uint32(size)) //nolint:gosec // at most 64, by parsePHC
}

// phc is a parsed PHC string.
type phc struct {
	cost Cost
	salt []byte
	hash []byte
}

func (p phc) String() string {
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, p.cost.Memory, p.cost.Time, p.cost.Threads,
		encode.EncodeToString(p.salt), encode.EncodeToString(p.hash))
}

var errPHC = errors.New("stored password: not an argon2id PHC string within bounds")

func parsePHC(s string) (phc, error) {
	parts := strings.Split(s, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != "v="+strconv.Itoa(argon2.Version) {
		return phc{}, errPHC
	}
	fields := strings.Split(parts[3], ",")
	if len(fields) != 3 {
		return phc{}, errPHC
	}
	var n [3]uint32
	for i, name := range []string{"m=", "t=", "p="} {
		digits, ok := strings.CutPrefix(fields[i], name)
		v, err := strconv.ParseUint(digits, 10, 32)
		if !ok || err != nil || strconv.FormatUint(v, 10) != digits {
			return phc{}, errPHC
		}
		n[i] = uint32(v) // ParseUint was told 32 bits
	}
	if n[2] > maxThreads {
		return phc{}, errPHC
	}
	p := phc{cost: Cost{Memory: n[0], Time: n[1], Threads: uint8(n[2])}} //nolint:gosec // at most maxThreads
	var err1, err2 error
	p.salt, err1 = encode.DecodeString(parts[4])
	p.hash, err2 = encode.DecodeString(parts[5])
	if err1 != nil || err2 != nil || !p.cost.valid() || len(p.salt) < 8 || len(p.salt) > 64 || len(p.hash) < 16 || len(p.hash) > 64 {
		return phc{}, errPHC
	}
	if p.String() != s {
		return phc{}, errPHC // base64 reads over line breaks
	}
	return p, nil
}

// matches costs the same whether or not the password fits.
func (p phc) matches(password string) bool {
	return subtle.ConstantTimeCompare(p.cost.derive(password, p.salt, len(p.hash)), p.hash) == 1
}
