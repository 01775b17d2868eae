package memkv_test

import (
	"math/rand/v2"
	"testing"

	"github.com/umaas/umaas/umaas/store/kv"
	"github.com/umaas/umaas/umaas/store/kv/kvtest"
	"github.com/umaas/umaas/umaas/store/kv/memkv"
)

func TestContract(t *testing.T) {
	kvtest.Run(t, func(*testing.T) kv.Engine { return memkv.New(memkv.Options{}) })
}

func TestContractUnderConflicts(t *testing.T) {
	half := func() bool { return rand.IntN(2) == 0 }
	kvtest.Run(t, func(*testing.T) kv.Engine { return memkv.New(memkv.Options{Conflict: half}) })
}

func TestContractAlwaysConflicting(t *testing.T) {
	always := func() bool { return true }
	kvtest.Run(t, func(*testing.T) kv.Engine { return memkv.New(memkv.Options{Conflict: always}) })
}
