// Package qrpath draws QR codes for pages, without inline code and without a picture to fetch. It is a leaf that the pages of both
// servers share.
package qrpath

import (
	"fmt"
	"strings"

	"rsc.io/qr"
)

// Path draws a text as one SVG path in a square of size units: runs of dark modules, with the quiet zone of four around.
func Path(text string) (size int, path string, err error) {
	const quiet = 4
	code, err := qr.Encode(text, qr.M)
	if err != nil {
		return 0, "", fmt.Errorf("QR code: %w", err)
	}
	var b strings.Builder
	for y := range code.Size {
		for x := 0; x < code.Size; {
			run := 0
			for x+run < code.Size && code.Black(x+run, y) {
				run++
			}
			if run > 0 {
				fmt.Fprintf(&b, "M%d %dh%dv1h-%dz", x+quiet, y+quiet, run, run)
			}
			x += run + 1
		}
	}
	return code.Size + 2*quiet, b.String(), nil
}
