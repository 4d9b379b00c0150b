import assert from "node:assert/strict";
import test from "node:test";
import { WEB } from "./kit.mjs";

const decimal = await import(`${WEB}decimal.js`);

test("texts become exact integers of the scale, also far beyond a double", () => {
  assert.equal(decimal.scaled("64012.33"), 6401233n);
  assert.equal(decimal.scaled("64012.33", 8), 6401233000000n);
  assert.equal(decimal.scaled("-0.00000001", 8), -1n);
  assert.equal(decimal.scaled("12345678901234567890123456.7"), 123456789012345678901234567n);
});

test("what is no decimal, or finer than the scale, is refused", () => {
  for (const text of ["", "1.", ".5", "1e5", "+1", "01", "1,5", " 1", "NaN", "0x10", "1.2.3"])
    assert.throws(() => decimal.scaled(text, 8), RangeError, text);
  assert.throws(() => decimal.scaled("1.234", 2), RangeError);
});

test("texts of different scales are compared by value", () => {
  assert.equal(decimal.compare("9.9", "10.00"), -1);
  assert.equal(decimal.compare("10", "10.000"), 0);
  assert.equal(decimal.compare("0.1000000000000000000001", "0.1"), 1);
  assert.equal(decimal.compare("-2", "-1"), -1);
});

test("integers come back as the texts they were", () => {
  for (const text of ["0", "0.00", "1.50", "-0.05", "64012.33", "-12.000", "9007199254740993.01"])
    assert.equal(decimal.format(decimal.scaled(text), decimal.places(text)), text);
  assert.equal(decimal.subtract("64012.34", "64012.3"), "0.04");
  assert.equal(decimal.subtract("1.0", "1.25"), "-0.25");
});

test("zero is zero at every scale", () => {
  for (const text of ["0", "0.0", "0.00000000", "-0.0"])
    assert.equal(decimal.isZero(text), true);
  for (const text of ["0.00000001", "10", "-1"])
    assert.equal(decimal.isZero(text), false);
});

test("a volume is rounded to its first figures, and its whole part never", () => {
  const cases = [["1234.56789012", "1234.57"], ["12.5", "12.5"], ["123456789.6", "123456790"],
                 ["0.00001234567", "0.0000123457"], ["0.00000000", "0.00000000"], ["0", "0"],
                 ["999999.99", "1000000"], ["9007199254740993.4", "9007199254740993"],
                 ["0.99999999", "1.000000"]];
  for (const [text, short] of cases)
    assert.equal(decimal.rounded(text, 6), short, text);
});

test("changes are rounded to the nearest hundredth of a per cent, halves away from zero", () => {
  assert.equal(decimal.percent("100", "101.234"), "+1.23");
  assert.equal(decimal.percent("100", "101.235"), "+1.24");
  assert.equal(decimal.percent("100", "98.765"), "-1.24");
  assert.equal(decimal.percent("100.00", "100"), "0.00");
  assert.equal(decimal.percent("3", "1"), "-66.67");
  assert.equal(decimal.percent("0", "1"), null);
});

test("a spread that rounds to nothing is not shown as nothing", () => {
  assert.equal(decimal.basisPoints("99.99", "100.01"), "2.00 bp");
  assert.equal(decimal.basisPoints("64000.00", "64000.01"), "<0.01 bp");
  assert.equal(decimal.basisPoints("5", "5"), "0.00 bp");
  assert.equal(decimal.basisPoints("0", "0"), "");
});
