package store

import "github.com/umaas/umaas/umaas"

func (t tx) Client(id umaas.ClientID) (umaas.Client, error) {
	return readAgain(t, plainKey(regionClient, string(id)), clientFields)
}

func (t tx) Clients(after umaas.ClientID, limit int) ([]umaas.Client, error) {
	return page(t, []byte{regionClient}, plainKey(regionClient, string(after)), limit, clientFields)
}

func (t tx) PutClient(c umaas.Client) error {
	if err := named("client", string(c.ID)); err != nil {
		return err
	}
	return t.kv.Put(plainKey(regionClient, string(c.ID)), encode(&c, clientFields))
}

func (t tx) DeleteClient(id umaas.ClientID) error {
	return t.kv.Delete(plainKey(regionClient, string(id)))
}
