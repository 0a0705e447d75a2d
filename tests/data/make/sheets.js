// Writes workbooks with SheetJS: a JSON order on standard input, the file's path as argument.
// Node, with SheetJS's package `xlsx` in NODE_PATH.
const XLSX = require("xlsx");
const order = JSON.parse(require("fs").readFileSync(0));
const book = XLSX.utils.book_new();
for (const [name, rows] of Object.entries(order.sheets)) {
  const sheet = XLSX.utils.aoa_to_sheet(rows);
  if (order.sums[name]) {
    const { cell, formula, value } = order.sums[name];
    sheet[cell] = { t: "n", f: formula, v: value };
  }
  XLSX.utils.book_append_sheet(book, sheet, name);
}
book.Props = { Title: order.title, Author: order.author, CreatedDate: new Date(order.day) };
book.Workbook = { Sheets: order.hidden.map((Hidden) => ({ Hidden })) };
XLSX.writeFile(book, process.argv[2]);
