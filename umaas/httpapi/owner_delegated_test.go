package httpapi_test

import (
	"strings"
	"testing"

	"github.com/umaas/umaas/umaas"
)

// TestSEC_43_DelegatedRequests: who may answer for an owner finds what waits with her, and answers it there; who may do something
// else for her, or nothing, finds nothing.
func TestSEC_43_DelegatedRequests(t *testing.T) {
	w := newOwnerWorld(t)
	w.asks(w.bob, "patient/Observation.r")
	tokens := map[umaas.DelegatedRight]string{"none": w.bobsToken}
	for _, right := range []umaas.DelegatedRight{umaas.MayShare, umaas.MayAnswer, umaas.MayHistory} {
		who := w.person("for-" + string(right))
		_, err := w.core.Acting(w.alice, w.alice).Delegate(t.Context(), umaas.NewDelegation{Who: umaas.Who{Kind: umaas.WhoAccount, Account: who}, Rights: []umaas.DelegatedRight{right}}, "")
		must(t, err)
		tokens[right] = w.ownerToken(who)
	}
	for right, token := range tokens {
		got := w.want(200, "", "", token, "GET", "/owner/delegated-requests", "").list("requests")
		if (len(got) == 1) != (right == umaas.MayAnswer) {
			t.Fatalf("%s: %v", right, got)
		}
		if right != umaas.MayAnswer {
			continue
		}
		if got[0]["owner"] != string(w.alice) || got[0]["owner_name"] == "" || got[0]["state"] != "waiting" || strings.Contains(got[0]["digest"].(string), " ") {
			t.Fatalf("%v", got[0])
		}
		path := "/owner/requests/" + got[0]["id"].(string) + "/answer?for=" + got[0]["owner"].(string)
		w.want(200, "", "", token, "POST", path, `{"allow":false,"digest":"`+got[0]["digest"].(string)+`"}`)
		if left := w.want(200, "", "", token, "GET", "/owner/delegated-requests", "").list("requests"); len(left) != 0 {
			t.Fatalf("answered and still there: %v", left)
		}
	}
}
