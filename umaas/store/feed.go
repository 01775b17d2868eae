package store

import (
	"encoding/binary"
	"errors"

	"github.com/umaas/umaas/umaas"
)

const settingFeed = "feed-last"

func changeKey(seq uint64) []byte { return binary.BigEndian.AppendUint64([]byte{regionChange}, seq) }

func (t tx) LastChange() (uint64, error) {
	raw, err := t.get(plainKey(regionSetting, settingFeed))
	if errors.Is(err, umaas.ErrNotFound) {
		return 0, nil
	}
	if err == nil && len(raw) != 8 {
		err = errDamaged
	}
	if err != nil {
		return 0, err
	}
	return binary.BigEndian.Uint64(raw), nil
}

// AppendChange takes the next number and the change in one transaction: two that race conflict, and one runs again.
func (t tx) AppendChange(c umaas.Change) error {
	last, err := t.LastChange()
	if err != nil {
		return err
	}
	c.Seq = last + 1
	if err := t.kv.Put(plainKey(regionSetting, settingFeed), binary.BigEndian.AppendUint64(nil, c.Seq)); err != nil {
		return err
	}
	return t.kv.Put(changeKey(c.Seq), encode(&c, changeFields))
}

// Changes are read whether expired or not: a gap is told by the numbers.
func (t tx) Changes(after uint64, limit int) ([]umaas.Change, error) {
	return page(t, []byte{regionChange}, changeKey(after), limit, changeFields)
}

func changeFields(c *codec, v *umaas.Change) {
	c.when(&v.Expires)
	c.uvarint(&v.Seq)
	text(c, &v.RS)
	c.list(&v.Tags)
	c.when(&v.Time)
}
