"""Sentences in the style of formal business news about fictional companies, with their sentiment.

The public training set holds tweets and headlines. These sentences add the longer, plainer wording of agencies and
press releases ("… after it cut its full-year outlook"), where a sentence often joins a move and its reason, and pairs
in which the same verb is good for one noun and bad for another (cut costs / cut its outlook). Run the file to read them.
"""
import random

COMPANIES = """Aldermoor Partners|Brackwater Foods|Calloway Steel|Denholm Airlines|Eastvale Energy|Farrow & Pike|Greystone
Insurance|Halden Motors|Ironbridge Bank|Juniper Retail Group|Kestrel Pharma|Lindqvist Shipping|Marlowe Media|Norwick
Telecom|Oakhurst Properties|Penrose Chemicals|Quarrington Mining|Ravensworth Logistics|Selwyn Semiconductors|Tarrant
Utilities|Umbra Software|Verity Health|Westcombe Brewing|Yarrow Textiles|Zephyr Aerospace""".replace("\n", " ").split("|")
KINDS = ["bank", "retailer", "carmaker", "insurer", "chipmaker", "airline", "drugmaker", "miner", "lender", "brewer",
         "shipping group", "software company", "utility", "builder", "food producer", "telecom operator"]

GOOD = """raised its full-year guidance|beat analysts' profit estimates|increased its quarterly dividend|announced a large
share buyback|reported record revenue|won a long-term supply contract|returned to profit|said its losses narrowed
sharply|cut its debt faster than planned|lowered its costs and widened margins|posted stronger than expected sales|said
orders had surged|received regulatory approval for its lead product|was upgraded to buy by analysts|lifted its revenue
forecast for the year|said demand was recovering|settled the lawsuit on better terms than feared|reported a fall in bad
loans|won market share from its rivals|agreed to be bought at a premium|raised its dividend|topped forecasts for quarterly
earnings|said costs fell and margins improved|ended the year with more cash and less debt""".replace("\n", " ").split("|")
BAD = """cut its full-year guidance|missed analysts' profit estimates|suspended its dividend|issued a profit warning|reported
a sharp fall in revenue|lost its largest customer|swung to a loss|said its losses widened|was fined by the regulator|warned
of rising costs and thinner margins|posted weaker than expected sales|said orders had slumped|recalled its best-selling
product|was downgraded to sell by analysts|lowered its revenue forecast for the year|said demand was weakening|disclosed an
investigation into its accounts|reported a rise in bad loans|lost market share to its rivals|filed for bankruptcy
protection|scrapped its payout to shareholders|fell short of forecasts for quarterly earnings|said costs rose faster than
sales|breached the terms of its loans|wrote down the value of its assets|reduced its outlook""".replace("\n", " ").split("|")
PLAIN = """will report quarterly results on Thursday|appointed a new chief financial officer|will hold its annual meeting in
May|said it would present at an investor conference|filed its annual report with the regulator|moved its headquarters to
another district|is based in the north of the country and employs 4,200 people|named a new member of its board|published the
agenda of its shareholder meeting|left its guidance unchanged|said results were in line with expectations|changed its
auditor after ten years|completed the move of its listing to another exchange|said the chairman would retire next year as
planned|opened an office in the capital|renewed its credit line on similar terms|said it had no comment on the report|will
webcast its earnings call|issued its sustainability report|changed its ticker symbol""".replace("\n", " ").split("|")
UP = ["rose", "climbed", "jumped", "surged", "gained", "advanced", "rallied", "soared"]
DOWN = ["fell", "dropped", "slid", "tumbled", "sank", "plunged", "declined", "slumped"]
FLAT = ["were little changed", "were flat", "traded sideways", "ended unchanged"]
TAILS = ["", "", "", " on Tuesday", " in the third quarter", ", the company said", ", according to a statement",
         ", citing conditions in its main markets", " late on Monday"]


def sentences(per_label=220, seed=7):
    """[(label, sentence)], per_label of each label, no sentence twice."""
    rng = random.Random(seed)

    def subject():
        return rng.choice(COMPANIES) if rng.random() < 0.6 else "The " + rng.choice(KINDS)

    def move(direction):
        verb = rng.choice(UP if direction > 0 else DOWN)
        return f"{verb} {rng.choice(['', '', f'{rng.randint(2, 24)}% ', f'as much as {rng.randint(3, 30)}% '])}".strip()

    def polar(sign):
        facts = GOOD if sign > 0 else BAD
        who, tail, a, b = subject(), rng.choice(TAILS), *rng.sample(facts, 2)
        mixed = rng.choice(BAD if sign > 0 else GOOD)
        lower = who[0].lower() + who[1:] if who.startswith("The ") else who
        return rng.choice([
            f"{who} {a}{tail}.", f"{who} {a} and {b}{tail}.", f"{who} {a}{tail}", f"{who} {a} and {b}",
            f"Shares of {lower} {move(sign)} after it {a}{tail}.", f"Shares of {lower} {move(sign)} after it {a}",
            f"{who} shares {move(sign)} as it {a}{tail}.", f"Stock in {lower} {move(sign)} when it {a} and {b}.",
            f"{who} {a}, sending its shares {'higher' if sign > 0 else 'lower'}{tail}.",
            f"Although it {mixed}, {lower} {a} and its shares {move(sign)}.",
            f"{who} {rng.choice(['said profit', 'said net income', 'said revenue'])} {move(sign)} from a year earlier.",
            f"{'Profit' if rng.random() < .5 else 'Revenue'} at {lower} {move(sign)} from a year earlier{tail}."])

    def neutral():
        who, tail = subject(), rng.choice(TAILS[:5])
        lower = who[0].lower() + who[1:] if who.startswith("The ") else who
        return rng.choice([
            f"{who} {rng.choice(PLAIN)}.", f"{who} {rng.choice(PLAIN)}{rng.choice(['', ', the company said'])}",
            f"{who} {rng.choice(PLAIN)} and {rng.choice(PLAIN)}.",
            f"Shares of {lower} {rng.choice(FLAT)}{tail}."])

    out, seen = [], set()
    for label, make in (("positive", lambda: polar(1)), ("negative", lambda: polar(-1)), ("neutral", neutral)):
        n = 0
        while n < per_label:
            s = make()
            if s not in seen:
                seen.add(s)
                out.append((label, s))
                n += 1
    return out


if __name__ == "__main__":
    for row in sentences():
        print("\t".join(row))
