// The skeleton and the looks of the report. Colours of the strategies: the colour-blind safe set of Okabe and Ito
// (2008), darkened on white and lightened on black until lines and text have enough contrast.
#include "app/html.h"
#include "app/report_sections.h"
#include "tensor/error.h"

namespace querent::app {
namespace {

constexpr const char* style = R"css(
:root{color-scheme:light dark;--bg:#f7f8f9;--card:#fff;--ink:#15191e;--muted:#5a636e;--line:#dfe3e7;--grid:#eceff2;--accent:#0b62a8;
--s0:#78828d;--s1:#0072b2;--s2:#d55e00;--s3:#008a65;--s4:#b04f86;--s5:#a87400;--s6:#2c86bd;--s7:#7a6f00;
--good:#008a65;--promising:#0072b2;--neutral:#78828d;--bad:#d55e00;--unknown:#78828d;--band:.1}
@media(prefers-color-scheme:dark){:root{--bg:#0f1216;--card:#171b21;--ink:#e9edf1;--muted:#9aa5b1;--line:#2b323a;--grid:#222830;--accent:#6bb8ef;
--s0:#98a2ad;--s1:#56b4e9;--s2:#ff8c42;--s3:#2fc79a;--s4:#e398c2;--s5:#f0b63c;--s6:#8fd0f5;--s7:#f0e442;
--good:#2fc79a;--promising:#56b4e9;--neutral:#98a2ad;--bad:#ff8c42;--unknown:#98a2ad;--band:.14}}
*{box-sizing:border-box}
html{scroll-behavior:smooth;-webkit-text-size-adjust:100%}
body{margin:0;background:var(--bg);color:var(--ink);font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;
font-variant-numeric:tabular-nums}
nav{position:sticky;top:0;z-index:2;background:var(--bg);border-bottom:1px solid var(--line);overflow-x:auto;white-space:nowrap}
nav div,main,footer{max-width:1120px;margin:0 auto;padding:0 28px}
nav a{display:inline-block;padding:11px 0;margin-right:22px;color:var(--muted);text-decoration:none;font-size:14px}
nav a:hover,nav a:focus{color:var(--ink)}
header{padding:44px 0 8px}
.eyebrow{margin:0 0 22px;color:var(--muted);font-size:14px;font-weight:600}.eyebrow span{font-weight:400;margin-left:8px;padding-left:10px;border-left:1px solid var(--line)}
.badge{display:inline-flex;align-items:center;gap:8px;margin:0 0 12px;padding:4px 13px 4px 11px;border:1px solid var(--line);border-radius:99px;background:var(--card);font-size:14px;font-weight:600}
.badge i{width:10px;height:10px;border-radius:50%;background:var(--neutral)}
.badge.good i{background:var(--good)}.badge.promising i{background:var(--promising)}.badge.bad i{background:var(--bad)}
h1{margin:0 0 14px;max-width:26em;font-size:clamp(23px,3.2vw,33px);line-height:1.22;font-weight:650;letter-spacing:-.015em;text-wrap:balance}
h2{margin:0 0 6px;font-size:23px;line-height:1.3;font-weight:650;letter-spacing:-.01em}
h3{margin:26px 0 10px;font-size:16px;font-weight:650;display:flex;align-items:center;gap:8px}
.detail,.lead{max-width:46em;color:var(--muted);margin:0 0 20px}.detail{font-size:17px;margin-bottom:12px}.nb{white-space:nowrap}
.note{margin:0 0 20px;padding:10px 14px;border-left:3px solid var(--promising);background:var(--card)}
.missing{color:var(--muted);margin:8px 0;padding:18px;border:1px dashed var(--line);border-radius:10px}
.small,small{font-size:13px;color:var(--muted)}
section{padding:46px 0 0;scroll-margin-top:30px}
.card,.tile,.case{background:var(--card);border:1px solid var(--line);border-radius:12px}
.tiles{display:grid;grid-template-columns:repeat(4,1fr);gap:14px;margin:28px 0 18px}
.tile{padding:15px 18px}.tile dt{font-size:14px;color:var(--muted)}
.tile dd{margin:2px 0 0;font-size:29px;line-height:1.25;font-weight:650;letter-spacing:-.02em}
.tile dd small{display:block;font-weight:400;letter-spacing:0;line-height:1.4;margin-top:2px}
.facts{font-size:14px;color:var(--muted);margin:0}.facts b{color:var(--ink);font-weight:600}
figure{margin:0}.hero{padding:18px 18px 12px}
.smalls{display:grid;grid-template-columns:repeat(auto-fit,minmax(270px,1fr));gap:14px;margin-top:14px}
.four{grid-template-columns:repeat(auto-fit,minmax(236px,1fr))}.four .chart{max-width:300px;margin:0 auto}.four figure{max-width:420px}
.smalls figure{max-width:520px;padding:14px 14px 10px}.smalls p{margin:4px 0 0}
figcaption{font-weight:600;font-size:15px;margin-bottom:6px;display:flex;justify-content:space-between;gap:8px;align-items:baseline}
figcaption span{white-space:nowrap;font-weight:400;font-size:13px;color:var(--muted)}
.legend{list-style:none;display:flex;flex-wrap:wrap;gap:6px 20px;margin:0 0 12px;padding:0;font-size:14px;color:var(--muted)}
.legend li{display:flex;align-items:center;gap:8px}
svg{display:block}.chart{width:100%;height:auto;overflow:visible}.key{width:26px;height:12px;flex:none;display:inline-block}
.chart text{font:13px system-ui,-apple-system,"Segoe UI",Roboto,Arial,sans-serif;fill:var(--muted);font-variant-numeric:tabular-nums}
.full-name,.level-name{paint-order:stroke;stroke:var(--card);stroke-width:4px;stroke-linejoin:round}
.chart .full-name{fill:var(--ink);font-weight:600}.chart .name{font-weight:600;font-size:14px}
.grid{stroke:var(--grid)}.axis{stroke:var(--line)}
.full{stroke:var(--ink);stroke-width:1.5;stroke-dasharray:6 4;fill:none}.level{stroke:var(--muted);stroke-dasharray:2 4}
.curve{fill:none;stroke:currentColor;stroke-width:2.25;stroke-linejoin:round;stroke-linecap:round}
.dashed{stroke-dasharray:5 5}.advice{margin:8px 0 0;padding:0;list-style:none;font-size:14px}.advice li{padding:2px 0;color:var(--muted)}.advice b{color:var(--ink);font-weight:600}.advice .badge{margin:0 0 4px;padding:2px 10px;font-size:13px;color:var(--ink)}
.band{fill:currentColor;opacity:var(--band)}.mark{fill:currentColor;stroke:var(--card);stroke-width:1.5}.mark:hover{stroke:var(--ink)}
.leader{stroke:currentColor;fill:none;opacity:.45}.chart .name{fill:currentColor}
.gap{stroke:currentColor;opacity:.45;stroke-width:3}.dot{fill:currentColor;stroke:var(--card)}
.c0{color:var(--s0)}.c1{color:var(--s1)}.c2{color:var(--s2)}.c3{color:var(--s3)}.c4{color:var(--s4)}.c5{color:var(--s5)}.c6{color:var(--s6)}.c7{color:var(--s7)}.ink{color:var(--ink)}
.f0{background:var(--s0)}.f1{background:var(--s1)}.f2{background:var(--s2)}.f3{background:var(--s3)}.f4{background:var(--s4)}.f5{background:var(--s5)}.f6{background:var(--s6)}.f7{background:var(--s7)}
.narrow{display:none}
.scroll{overflow-x:auto;margin-bottom:14px;background:var(--card);border:1px solid var(--line);border-radius:12px}
table{border-collapse:collapse;width:100%;font-size:15px}
th,td{padding:11px 16px;text-align:right;border-bottom:1px solid var(--line);white-space:nowrap;font-weight:400;vertical-align:top}
tr:last-child>*{border-bottom:0}thead>tr:last-child>*{border-bottom:1px solid var(--line)}
th:first-child{text-align:left}tbody th{font-weight:600}thead th{font-size:14px;font-weight:600;vertical-align:bottom}
th svg{margin-right:9px;vertical-align:middle}sup{line-height:0}
td small,th small{display:block;font-weight:400}.checks :is(th,td){white-space:normal;min-width:9em}.words{white-space:normal;text-align:left;min-width:20em}.words b{font-weight:600}.words .badge{margin:0 8px 5px 0;padding:1px 9px 1px 8px;font-size:13px}td.none{color:var(--muted)}td.more{color:var(--good);font-weight:600}td.less{color:var(--bad);font-weight:600}
details{border-top:1px solid var(--line);padding:4px 0}
summary{cursor:pointer;padding:8px 0;font-weight:600;font-size:15px}summary small{font-weight:400;margin-left:12px}
.cases{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,460px),1fr));gap:14px;padding:6px 0 10px}
.worst{display:grid;grid-template-columns:repeat(auto-fill,minmax(150px,1fr));gap:14px}
.case{padding:12px;min-width:0}.case p{margin:9px 0 0;font-size:14px;line-height:1.45;overflow-wrap:anywhere}.case p span{font-size:13px;color:var(--muted)}
.panels{display:grid;grid-auto-flow:column;grid-auto-columns:1fr;gap:8px}.panel span{font-size:12px;color:var(--muted)}
.picture{width:100%;height:auto;border-radius:6px;background:#000}
.outline{fill:none;stroke-width:1.75;vector-effect:non-scaling-stroke;stroke-linejoin:round}
.outline.truth{stroke:#ffd23f}.outline.guess{stroke:#35c8ff}
.switch{margin:0 0 4px;font-size:14px;color:var(--muted)}.switch input{accent-color:var(--accent);vertical-align:-1px;margin:0 6px 0 0}body:has(#outlines:not(:checked)) .outline{display:none}
.stroke{width:22px;height:4px;border-radius:2px;outline:1px solid #0004}.stroke.truth{background:#ffd23f}.stroke.guess{background:#35c8ff}
.epistemic:not(.ramp){filter:url(#epistemic)}.aleatoric:not(.ramp){filter:url(#aleatoric)}
.ramp{width:90px;height:10px;border-radius:3px;background:linear-gradient(90deg,#000004,#320a5e,#781c6d,#bc3754,#ed6925,#fbb41a,#fcffa4)}
.gone{aspect-ratio:1;display:grid;place-items:center;text-align:center;padding:8px;border:1px dashed var(--line);border-radius:6px;font-size:13px;color:var(--muted)}
.bars{list-style:none;margin:10px 0 0;padding:0;font-size:13px}.bars li{display:flex;align-items:center;gap:8px;padding:2px 0}
.bars span{flex:0 0 8.5em;overflow:hidden;text-overflow:ellipsis;white-space:nowrap;color:var(--muted)}
.bars u{flex:1;min-width:0;height:12px;border-radius:2px;background:var(--grid);overflow:hidden}.bars i{display:block;height:100%;background:var(--s0)}.bars small{flex:0 0 3em;text-align:right}
.bars b{flex:0 0 2.5em;text-align:right;font-weight:600}.bars .true span{color:var(--ink);font-weight:650}.bars .true i{background:var(--accent)}
.bars i.f1{background:var(--s1)}.bars i.f2{background:var(--s2)}.bars i.f3{background:var(--s3)}.bars i.f4{background:var(--s4)}.bars i.f5{background:var(--s5)}.bars i.f6{background:var(--s6)}.bars i.f7{background:var(--s7)}
.classes{padding:4px 20px 18px}.classes .bars{font-size:14px}.classes .bars b{flex-basis:3.6em}
.cases.cls{grid-template-columns:repeat(auto-fill,minmax(220px,1fr))}
pre{margin:0 0 6px;padding:16px 18px;background:var(--card);border:1px solid var(--line);border-radius:12px;white-space:pre-wrap;overflow-wrap:anywhere;user-select:all;-webkit-user-select:all}
code{font:14px/1.55 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}p code{font-size:12.5px}
.settings{display:grid;grid-template-columns:repeat(auto-fill,minmax(150px,1fr));gap:1px;margin:12px 0;background:var(--line);border:1px solid var(--line);border-radius:12px;overflow:hidden}
.settings div{background:var(--card);padding:9px 14px;box-shadow:0 0 0 1px var(--line)}.settings dt{font-size:13px;color:var(--muted)}.settings dd{margin:0;font-size:14px;overflow-wrap:anywhere}
.settings{background:var(--card)}.hashes{grid-template-columns:repeat(auto-fill,minmax(min(100%,400px),1fr))}.hashes dd{font:12.5px/1.6 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
.glossary{columns:2;column-gap:40px;margin:12px 0 0}.glossary div{break-inside:avoid;margin-bottom:14px}
.glossary dt{font-weight:650;font-size:15px}.glossary dd{margin:0;color:var(--muted);font-size:15px}
footer{margin-top:56px;padding-top:22px;padding-bottom:44px;border-top:1px solid var(--line);font-size:14px;color:var(--muted)}
@media(max-width:900px){.tiles{grid-template-columns:1fr 1fr}}
@media(max-width:640px){nav div,main,footer{padding-left:16px;padding-right:16px}header{padding-top:26px}.wide{display:none}.narrow{display:block}
.hero{padding:14px 10px 8px}.tile{padding:12px 14px}.tile dd{font-size:24px}.glossary{columns:1}section{padding-top:36px}.tiles{gap:10px}th,td{padding:10px 12px}
.worst,.cases.cls{grid-template-columns:1fr 1fr;gap:10px}.cls .bars{font-size:12px}.cls .bars span{flex-basis:5.6em}.cls .bars li{gap:5px}}
@media print{nav{display:none}body{background:#fff}.card,.tile,.case,.scroll{break-inside:avoid}}
)css";

// Grey to the colours of inferno (perceptually uniform, Smith and van der Walt 2015), after brightening by `gain`.
std::string map_filter(const std::string& id, double gain) {
  const auto channel = [](const char* name, const char* table) {
    return text("<feFunc{} type=\"table\" tableValues=\"{}\"/>", name, table);
  };
  const std::string slope = fixed(gain, 3);
  return text(
      "<filter id=\"{}\" color-interpolation-filters=\"sRGB\" x=\"0\" y=\"0\" width=\"1\" "
      "height=\"1\"><feComponentTransfer>"
      "<feFuncR type=\"linear\" slope=\"{}\"/><feFuncG type=\"linear\" slope=\"{}\"/><feFuncB type=\"linear\" "
      "slope=\"{}\"/>"
      "</feComponentTransfer><feComponentTransfer>{}{}{}</feComponentTransfer></filter>",
      id, slope, slope, slope, channel("R", "0 .196 .471 .737 .929 .984 .988"),
      channel("G", "0 .039 .110 .216 .412 .706 1"), channel("B", ".016 .369 .427 .329 .145 .102 .643"));
}

}  // namespace

std::string section(const std::string& id, const std::string& title, const std::string& lead, const std::string& body) {
  return text("<section id=\"{}\"><h2>{}</h2>{}{}</section>\n", id, title,
              lead.empty() ? "" : "<p class=\"lead\">" + lead + "</p>", body);
}

std::string page(const std::string& title, const std::string& body, const PageOptions& o) {
  std::string links;
  for (const auto& [id, name] : o.links) links += text("<a href=\"#{}\">{}</a>", id, name);
  std::string html =
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
      "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">"
      "<meta name=\"generator\" content=\"Querent\">";
  html += text("<title>{}</title><style>", escape(title)) + style + "</style></head><body>\n";
  html += "<svg width=\"0\" height=\"0\" style=\"position:absolute\" aria-hidden=\"true\"><defs>" +
          map_filter("epistemic", o.epistemic_gain) + map_filter("aleatoric", o.aleatoric_gain) + "</defs></svg>\n";
  html += "<nav><div>" + links + "</div></nav><main>\n" + body + "</main>\n";
  html +=
      "<footer>Made by Querent from " + o.made_from + "; nothing on this page comes from elsewhere. "
      "Research software, not a medical device: not for diagnosis.</footer>\n</body></html>\n";
  return html;
}

}  // namespace querent::app
