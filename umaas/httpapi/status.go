package httpapi

import (
	"errors"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/uma"
)

// statusFresh is how long a computed revocation list is sent again, and how long others may keep it: together they bound when
// a stopped share reaches the last holder.
const statusFresh = 10 * time.Second

// statusLists keeps the lists lately computed, so that anybody may ask as often as he likes.
type statusLists struct {
	mu   sync.Mutex
	kept map[uint64]statusDoc
}

type statusDoc struct {
	doc []byte
	at  time.Time
}

const maxStatusLists = 256

// statusList serves one revocation list, the same for everybody.
func (a *api) statusList(c *gin.Context) error {
	text := c.Param("number")
	number, err := strconv.ParseUint(text, 10, 32)
	if err != nil || strconv.FormatUint(number, 10) != text {
		return uma.ErrNotFound.With("there is nothing at this address")
	}
	now := a.Now()
	a.lists.mu.Lock()
	defer a.lists.mu.Unlock() // one computation at a time
	l, ok := a.lists.kept[number]
	if age := now.Sub(l.at); !ok || age < 0 || age >= statusFresh {
		doc, err := a.Service.StatusList(c.Request.Context(), number)
		if errors.Is(err, umaas.ErrNotFound) {
			return uma.ErrNotFound.With("there is nothing at this address")
		}
		if err != nil {
			return err
		}
		if l = (statusDoc{doc: doc, at: now}); a.lists.kept == nil || len(a.lists.kept) >= maxStatusLists {
			a.lists.kept = map[uint64]statusDoc{}
		}
		a.lists.kept[number] = l
	}
	c.Header("Cache-Control", "public, max-age=10")
	c.Header("Content-Type", "application/json")
	c.Status(http.StatusOK)
	_, err = c.Writer.Write(l.doc)
	return err
}
