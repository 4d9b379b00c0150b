// In which condition a market is, for a reader: {kind, name, why}. kind "live" is the only one
// whose figures may be looked at as now.

const WHY = {
  starting: "nothing has come from the venue yet",
  venue_disconnected: "the link to the venue is down",
  silent: "the venue stopped sending",
  seq_gap: "messages of the venue were lost",
  crossed: "the venue's book came out crossed",
  checksum: "the venue's checksum did not match",
  venue_status: "the venue says so",
  ingest_lost: "the server's link to its data is down",
};

const NAMES = { stale: "Stale", resync: "Resyncing", halted: "Halted" };

function told({ state, reason }) {
  const why = WHY[reason] ?? (reason ?? "").replaceAll("_", " ");
  return { kind: state in NAMES ? state : "stale", name: NAMES[state] ?? `State "${state}"`, why };
}

// channel: of the market, or null. open: is there a connection? refusal: {message} if the server
// does not give the channel.
export function conditionOf(channel, open, refusal) {
  if (!open)
    return { kind: "offline", name: "Disconnected", why: "these figures are old" };
  if (refusal !== undefined)
    return { kind: "stale", name: "Refused", why: refusal.message };
  if (channel === null || channel.state === null)
    return { kind: "waiting", name: "Waiting", why: "for the first data" };
  if (channel.state !== "live")
    return told(channel);
  if (channel.book?.crossed)
    return { kind: "resync", name: "Crossed", why: "bid and ask overlap" };
  if (!channel.usable)
    return { kind: "resync", name: "Resyncing", why: "the new data are on their way" };
  return { kind: "live", name: "Live", why: "" };
}

// How long ago, from milliseconds: "<1 s", "12 s", "3 min", "5 h".
export function age(ms) {
  if (ms < 1000)
    return "<1 s";
  if (ms < 120000)
    return `${Math.floor(ms / 1000)} s`;
  return ms < 7200000 ? `${Math.floor(ms / 60000)} min` : `${Math.floor(ms / 3600000)} h`;
}
