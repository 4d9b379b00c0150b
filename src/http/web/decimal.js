// Exact decimals, as texts and as scaled BigInts. No price and no size ever becomes a float.

const FORM = /^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?$/;

export function isDecimal(text) {
  return typeof text === "string" && FORM.test(text);
}

export function places(text) {
  const point = text.indexOf(".");
  return point < 0 ? 0 : text.length - point - 1;
}

// The text times 10^dp; dp must not be less than the text has.
export function scaled(text, dp = places(text)) {
  if (!isDecimal(text) || places(text) > dp)
    throw new RangeError(`not a decimal of ${dp} places: ${text}`);
  return BigInt(text.replace(".", "")) * 10n ** BigInt(dp - places(text));
}

export function isZero(text) {
  return !/[1-9]/.test(text);
}

export function compare(a, b) {
  const dp = Math.max(places(a), places(b));
  const x = scaled(a, dp);
  const y = scaled(b, dp);
  return x < y ? -1 : x > y ? 1 : 0;
}

// The text of mantissa / 10^dp, with exactly dp places.
export function format(mantissa, dp) {
  const digits = (mantissa < 0n ? -mantissa : mantissa).toString().padStart(dp + 1, "0");
  const whole = digits.slice(0, digits.length - dp);
  return (mantissa < 0n ? "-" : "") + whole + (dp > 0 ? "." + digits.slice(-dp) : "");
}

export function subtract(a, b) {
  const dp = Math.max(places(a), places(b));
  return format(scaled(a, dp) - scaled(b, dp), dp);
}

// n / d to the nearest integer, halves away from zero; d > 0.
function divide(n, d) {
  return n < 0n ? -((-n * 2n + d) / (d * 2n)) : (n * 2n + d) / (d * 2n);
}

// To that many significant figures at least: all of the whole part, and of the decimals what is
// then left. For a quick look; nothing is reckoned with it.
export function rounded(text, figures) {
  const [, whole, decimals = ""] = /^-?(\d+)(?:\.(\d+))?$/.exec(text);
  const zeros = /^0*/.exec(decimals)[0].length;
  const wanted = whole === "0" ? zeros + figures : Math.max(0, figures - whole.length);
  const dp = Math.min(wanted, decimals.length);
  return format(divide(scaled(text), 10n ** BigInt(decimals.length - dp)), dp);
}

// By how much `to` is above `from`: text in per cent with a sign, "+1.25"; null from zero or below.
export function percent(from, to) {
  const dp = Math.max(places(from), places(to));
  const base = scaled(from, dp);
  if (base <= 0n)
    return null;
  const change = divide((scaled(to, dp) - base) * 10000n, base);
  return (change > 0n ? "+" : "") + format(change, 2);
}

// The spread in hundredths of a per cent of the middle, "1.25 bp"; "" where that is not positive.
export function basisPoints(bid, ask) {
  const dp = Math.max(places(bid), places(ask));
  const b = scaled(bid, dp);
  const a = scaled(ask, dp);
  if (a + b <= 0n)
    return "";
  const points = divide((a - b) * 2000000n, a + b);
  return points === 0n && a > b ? "<0.01 bp" : `${format(points, 2)} bp`;
}
