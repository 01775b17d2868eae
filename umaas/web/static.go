package web

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"path"

	"github.com/gin-gonic/gin"
)

//go:embed static
var staticFiles embed.FS

// statics are the files under static/, addressed by the hash of all of them so that they can be cached for good (PS-07).
type statics struct {
	version string
	files   map[string][]byte
}

func loadStatics() (statics, error) {
	out := statics{files: map[string][]byte{}}
	sum := sha256.New()
	err := fs.WalkDir(staticFiles, "static", func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := staticFiles.ReadFile(file)
		out.files[path.Base(file)] = content
		_, _ = fmt.Fprintf(sum, "%s %d\n", file, len(content)) // a hash never fails
		sum.Write(content)
		return err
	})
	out.version = hex.EncodeToString(sum.Sum(nil))[:16]
	return out, err
}

func (s *Site) staticFile(c *gin.Context) {
	content, ok := s.static.files[c.Param("file")]
	if !ok || c.Param("version") != s.static.version {
		s.ErrorPage(c, errNoPage)
		return
	}
	h := c.Writer.Header()
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("Content-Type", mime.TypeByExtension(path.Ext(c.Param("file"))))
	h.Set("X-Content-Type-Options", "nosniff")
	c.Status(http.StatusOK)
	_, _ = c.Writer.Write(content) // the browser went away: nobody to tell
}
