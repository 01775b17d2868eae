package scopes
import ("testing";"time";"fmt";"strings")
func TestZZ(t *testing.T){ for _,n:=range []int{50,200,400}{ var p []string; for i:=range n{ p=append(p,fmt.Sprintf("patient/Patient.cruds?_id=a%d,b%d,c%d&_tag=x,y&gender=a,b,c",i,i,i))}
 st:=time.Now(); s,_:=ParseSet(strings.Join(p," ")); t.Log(n,"parse",time.Since(st)); st=time.Now(); u:=s.Union(nil); t.Log(len(u),"union",time.Since(st)); st=time.Now(); t.Log(len(s.Intersect(s[:50])), "intersect",time.Since(st)) }}
