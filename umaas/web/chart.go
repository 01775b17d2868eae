package web

import (
	"context"
	"time"

	"github.com/umaas/umaas/umaas"
)

// chart is who looked in the last twelve weeks, one bar a week (VS-08). It is drawn as SVG by the template; the same numbers stand in
// a table beside it.
type chart struct {
	Weeks       []week
	Total       int
	Emergencies int
	Most        Name // who looked most, "" nobody else
	Top         int  // the highest week
	More        bool // there was more than could be counted
}

// week is one bar. Y and heights are in units of the drawing, from the top.
type week struct {
	From, To            time.Time // To is the last day
	Others, Own, Alarms int
	X, OthersY, OthersH int
	OwnY, OwnH, AlarmY  int
	Address             string
}

const (
	chartWeeks  = 12
	chartHeight = 120 // of the highest bar
	chartTop    = 24  // room for the emergency mark
	chartStep   = 50  // from bar to bar
	chartPages  = 10  // of 500 entries
)

// chart counts. Own looks are those of the owner herself and of apps that act for her.
func (s *Site) chart(ctx context.Context, v *visit) (chart, error) {
	now := s.Now().In(s.Zone)
	end := time.Date(now.Year(), now.Month(), now.Day()+1, 0, 0, 0, 0, s.Zone)
	start := end.AddDate(0, 0, -7*chartWeeks)
	c := chart{Weeks: make([]week, chartWeeks)}
	for i := range c.Weeks {
		w := &c.Weeks[i]
		w.From, w.To = start.AddDate(0, 0, 7*i), start.AddDate(0, 0, 7*i+6)
		w.X = i*chartStep + 8
		form := historyForm{Kind: "looks", From: w.From.Format(time.DateOnly), To: w.To.Format(time.DateOnly)}
		w.Address = form.address(s.Base+v.me()+"/history", umaas.Key{})
	}
	f := umaas.HistoryFilter{Kinds: []string{umaas.EventAccess, umaas.EventEmergency}, From: start, Limit: 500}
	people := map[string]int{}
	for page := range chartPages {
		found, err := v.acts().History(ctx, f)
		if err != nil {
			return c, err
		}
		for _, e := range settled(found.Entries) {
			c.add(v.owner(), start, e, people)
		}
		f.Before, c.More = found.Next, !found.Next.IsZero() && page == chartPages-1
		if found.Next.IsZero() {
			break
		}
	}
	most := 0
	for who, n := range people {
		if n > most || n == most && who < string(c.Most) {
			c.Most, most = name(who), n
		}
	}
	c.measure()
	return c, nil
}

func (c *chart) add(owner umaas.AccountID, start time.Time, e umaas.HistoryEntry, people map[string]int) {
	i := int(e.Time.Sub(start) / (7 * 24 * time.Hour))
	if i < 0 || i >= len(c.Weeks) {
		return
	}
	w := &c.Weeks[i]
	switch {
	case e.Type == umaas.EventEmergency:
		w.Alarms++
		c.Emergencies++
		return
	case e.Access == nil || e.Access.Outcome != "success":
		return
	case e.Actor == owner:
		w.Own++
	default:
		w.Others++
		if who := firstOf(e.ActorName, e.AppName); who != "" {
			people[who]++
		}
	}
	c.Total++
	c.Top = max(c.Top, w.Own+w.Others)
}

// measure turns counts into bars. What is not zero can be seen.
func (c *chart) measure() {
	for i := range c.Weeks {
		w := &c.Weeks[i]
		scale := func(n int) int {
			if n == 0 {
				return 0
			}
			return max(n*chartHeight/max(c.Top, 1), 3)
		}
		w.OthersH, w.OwnH = scale(w.Others), scale(w.Own)
		w.OthersY = chartTop + chartHeight - w.OthersH
		w.OwnY = w.OthersY - w.OwnH
		w.AlarmY = w.OwnY - 6
	}
}

func firstOf(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}
