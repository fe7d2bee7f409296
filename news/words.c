/* Every phrase beside its translation, so that one cannot be changed without seeing the other. */
#include "news/words.h"

#include <string.h>

static const struct {
    const char *english, *chinese;
} words[NEWS_WORD_COUNT] = {
    [NEWS_WORD_TITLE] = {"Public opinion report", "舆情报告"},
    [NEWS_WORD_WINDOW] = {"{0} to {1} ({2})", "{0} 至 {1}（{2}）"},
    [NEWS_WORD_FILTER] = {"Only items about: {0}", "仅限涉及以下对象的报道：{0}"},
    [NEWS_WORD_SUMMARY] = {"Summary", "摘要"},
    [NEWS_WORD_SUMMARY_ITEMS] = {"{0:item:items} from {1:source:sources} form {2:event:events}; {3:further item "
                                 "was:further items were} left out as noise.",
                                 "共有 {0} 条报道，来自 {1} 个来源，归为 {2} 个事件；另有 {3} 条作为噪声排除。"},
    [NEWS_WORD_SUMMARY_TONES] = {"{0} % are negative, {1} % neutral, {2} % positive; the mean polarity is {3}.",
                                 "其中负面 {0}%、中性 {1}%、正面 {2}%，平均情感极性为 {3}。"},
    [NEWS_WORD_SUMMARY_MORE] = {"That is {0} % more than in the period before ({1:item:items}, {2} % negative).",
                                "较上一周期的 {1} 条增加 {0}%，上一周期负面占比为 {2}%。"},
    [NEWS_WORD_SUMMARY_LESS] = {"That is {0} % less than in the period before ({1:item:items}, {2} % negative).",
                                "较上一周期的 {1} 条减少 {0}%，上一周期负面占比为 {2}%。"},
    [NEWS_WORD_SUMMARY_FIRST] = {"Nothing is stored for the period before.", "上一周期没有可比数据。"},
    [NEWS_WORD_SUMMARY_BEFORE_NOISE] =
        {"The period before has nothing to compare with: {0:item was:items were} left out "
         "as noise.",
         "上一周期没有可比数据：{0} 条报道作为噪声排除。"},
    [NEWS_WORD_SUMMARY_BEFORE_CUT] = {"The period before is not compared: not all of its items were read.",
                                      "上一周期的报道未全部读取，故不作比较。"},
    [NEWS_WORD_SUMMARY_TOP] = {"The hottest event is “{0}”: {1:item:items} from {2:source:sources}, {3}.",
                               "最热事件为“{0}”：{1} 条报道，{2} 个来源，处于{3}。"},
    [NEWS_WORD_SUMMARY_ALERTS] = {"{0:alert was:alerts were} raised, the gravest at level {1}.",
                                  "期间共发出 {0} 条预警，最高级别为{1}。"},
    [NEWS_WORD_NOTHING] = {"Nothing was published in this window.", "该时间段内没有报道。"},
    [NEWS_WORD_ONLY_NOISE] = {"Nothing but noise was published in this window: {0:item was:items were} left out.",
                              "该时间段内只有噪声，已排除 {0} 条报道。"},
    [NEWS_WORD_ALERTS] = {"Alerts", "预警"},
    [NEWS_WORD_NO_ALERTS] = {"No alert was raised in this window.", "该时间段内没有预警。"},
    [NEWS_WORD_CHART_SHARE] = {"Sentiment over time, shares", "情感占比走势"},
    [NEWS_WORD_CHART_SHARE_SAYS] = {"{0} % of all items are negative; a column is {1}.",
                                    "全部报道中负面占 {0}%；每列为 {1}。"},
    [NEWS_WORD_CHART_VOLUME] = {"Items over time", "报道数量走势"},
    [NEWS_WORD_CHART_VOLUME_SAYS] = {"Most items, {0}, were published from {1} on.",
                                     "{1} 起的时段报道最多，共 {0} 条。"},
    [NEWS_WORD_CHART_HEAT] = {"Heat of the top events", "热点事件热度走势"},
    [NEWS_WORD_CHART_HEAT_SAYS] = {"{0:event:events}; the hottest is “{1}”.", "共 {0} 个事件，最热为“{1}”。"},
    [NEWS_WORD_CHART_TOPICS] = {"Topics by sentiment, items", "各主题报道数与情感"},
    [NEWS_WORD_CHART_TOPICS_SAYS] = {"{0:topic:topics}; the hottest is {1}.", "共 {0} 个主题，最热为 {1}。"},
    [NEWS_WORD_EVENTS] = {"Top events", "热点事件"},
    [NEWS_WORD_EVENT_FACTS] = {"{0:item:items}, {1:source:sources} · heat {2} (highest {3}, {4})",
                               "{0} 条报道，{1} 个来源 · 热度 {2}（最高 {3}，{4}）"},
    [NEWS_WORD_EVENT_TONES] = {"{0} % negative, mean polarity {1}", "负面占比 {0}%，平均极性 {1}"},
    [NEWS_WORD_FIRST_SOURCE] = {"First source: {0}, {1}", "首发来源：{0}，{1}"},
    [NEWS_WORD_SPREAD] = {"Spread", "传播"},
    [NEWS_WORD_MORE_SOURCES] = {"and {0:more source:more sources}", "以及另外 {0} 个来源"},
    [NEWS_WORD_EVIDENCE] = {"Evidence", "证据"},
    [NEWS_WORD_LIFE] = {"Life cycle", "生命周期"},
    [NEWS_WORD_LIFE_WHY] = {"heat {0} now, {2} ({1} h ago), {3} at its highest",
                            "当前热度 {0}，{1} 小时前 {2}，峰值 {3}"},
    [NEWS_WORD_ENTITIES] = {"Entities", "相关主体"},
    [NEWS_WORD_TOPICS] = {"Topics", "主题"},
    [NEWS_WORD_SOURCES] = {"Sources", "来源"},
    [NEWS_WORD_NAME] = {"Name", "名称"},
    [NEWS_WORD_TICKER] = {"Ticker", "代码"},
    [NEWS_WORD_ITEMS] = {"Items", "报道数"},
    [NEWS_WORD_EVENT_COUNT] = {"Events", "事件数"},
    [NEWS_WORD_ALERT_COUNT] = {"Alerts", "预警数"},
    [NEWS_WORD_NEGATIVE_SHARE] = {"Negative", "负面占比"},
    [NEWS_WORD_POLARITY] = {"Polarity", "极性"},
    [NEWS_WORD_HEAT] = {"Heat", "热度"},
    [NEWS_WORD_STAGE] = {"Stage", "阶段"},
    [NEWS_WORD_TIME] = {"Time", "时间"},
    [NEWS_WORD_LEVEL] = {"Level", "级别"},
    [NEWS_WORD_RULE] = {"Rule", "规则"},
    [NEWS_WORD_SUBJECT] = {"Subject", "对象"},
    [NEWS_WORD_REASONS] = {"Reasons", "触发原因"},
    [NEWS_WORD_MORE_ALERTS] = {"{0:more alert is:more alerts are} not shown.", "另有 {0} 条预警未列出。"},
    [NEWS_WORD_METHOD] = {"Method", "方法"},
    [NEWS_WORD_METHOD_HEAT] = {"Heat is the sum over the items of source weight × (1 + log10(1 + engagement)) × "
                               "2^(−age / {0} h): one unit is one article of an ordinary source when it appears. "
                               "Events are ranked by the highest heat of the window.",
                               "热度 = 各报道的 来源权重 × (1 + log10(1 + 互动量)) × 2^(−时长 / {0} 小时) 之和："
                               "一个单位相当于普通来源刚发布的一篇报道。事件按时间段内的最高热度排序。"},
    [NEWS_WORD_METHOD_LIFE] =
        {"Life cycle, the first that holds: dormant (heat below 0.25 or a tenth of its highest), "
         "emerging (nothing before the last {0} h), rising (at least 1.2 times the heat {0} h "
         "ago), peak (at least 0.8 of the highest), else fading.",
         "生命周期按顺序判定：沉寂期（热度低于 0.25 或峰值的十分之一）、萌芽期（{0} 小时前无报道）、"
         "上升期（不低于 {0} 小时前热度的 1.2 倍）、高峰期（不低于峰值的 0.8）、其余为消退期。"},
    [NEWS_WORD_METHOD_TONE] =
        {"Sentiment is a model's label for each item, polarity its signed score from −1 to 1; an "
         "entity's are of the sentences that name it.",
         "情感为模型对每条报道给出的标签，极性为 −1 至 1 的带符号得分；主体的情感取自提及它的句子。"},
    [NEWS_WORD_METHOD_EVENT] = {"An event is a cluster of near-duplicate items; its first source is the earliest that "
                                "was stored. Labels and clusters are estimates and can be wrong: read the evidence.",
                                "事件为近似重复报道的聚类；首发来源指已入库报道中发布最早的来源。标签与聚类均为估计，可"
                                "能有误，请以证据原文为准。"},
    [NEWS_WORD_METHOD_NOISE] = {"Items with a noise score of {0} or more (advertisements, boilerplate) are left out: "
                                "{1:item:items}.",
                                "噪声得分不低于 {0} 的报道（广告、模板文字）已排除：{1} 条。"},
    [NEWS_WORD_METHOD_MODEL] = {"Model: {0}, SHA-256 {1}, {2:item:items}.", "模型：{0}，SHA-256 {1}，{2} 条。"},
    [NEWS_WORD_METHOD_NO_MODEL] = {"No model classified these items.", "这些报道未经模型分类。"},
    [NEWS_WORD_METHOD_FULL] =
        {"Only the newest {0:item was:items were} read: choose a shorter window for exact figures.",
         "仅读取了最新的 {0} 条报道；如需精确数字，请缩短时间段。"},
    [NEWS_WORD_METHOD_SAME] = {"The same items, alerts and window give the same report, byte for byte.",
                               "相同的报道、预警与时间段生成逐字节相同的报告。"},
};

struct term {
    const char *key, *english, *chinese;
};

static const struct term terms[] = {
    {"red", "red", "红色"},
    {"orange", "orange", "橙色"},
    {"yellow", "yellow", "黄色"},
    {"blue", "blue", "蓝色"},
    {"negative", "negative", "负面"},
    {"neutral", "neutral", "中性"},
    {"positive", "positive", "正面"},
    {"emerging", "emerging", "萌芽期"},
    {"rising", "rising", "上升期"},
    {"peak", "at its peak", "高峰期"},
    {"fading", "fading", "消退期"},
    {"dormant", "dormant", "沉寂期"},
    {"event", "event", "事件"},
    {"entity", "entity", "主体"},
    {"topic", "topic", "主题"},
    {"source", "source", "来源"},
    {"all", "all items", "全部报道"},
    {"items", "items", "报道数"},
    {"sources", "sources", "来源数"},
    {"heat", "heat", "热度"},
    {"growth", "growth", "增长倍数"},
    {"negative_share", "negative share", "负面占比"},
    {"polarity", "polarity", "极性"},
    {"importance", "importance", "重要性"},
    {">=", "≥", "≥"},
    {"<=", "≤", "≤"},
};

/* Apart from the terms: a model's own label may be any word. */
static const struct term topics[] = {
    {"analyst_update", "analyst updates", "机构评级"},
    {"company_product_news", "companies and products", "公司与产品"},
    {"currencies", "currencies", "汇率与货币"},
    {"dividend", "dividends", "分红派息"},
    {"earnings", "earnings", "业绩"},
    {"energy_oil", "energy and oil", "能源与石油"},
    {"fed_central_banks", "central banks", "央行与货币政策"},
    {"financials", "financial and operating figures", "财务与经营数据"},
    {"general_news_opinion", "general news and opinion", "综合与观点"},
    {"gold_metals_materials", "gold, metals and materials", "黄金、金属与材料"},
    {"ipo", "IPOs", "首发上市"},
    {"legal_regulation", "law and regulation", "法律与监管"},
    {"m_a_investments", "mergers and investments", "并购与投资"},
    {"macro", "macroeconomy", "宏观经济"},
    {"markets", "markets", "市场行情"},
    {"personnel_change", "personnel changes", "人事变动"},
    {"politics", "politics", "政治与外交"},
    {"stock_commentary", "stock commentary", "个股评论"},
    {"stock_movement", "stock movements", "股价异动"},
    {"treasuries_corporate_debt", "treasuries and corporate debt", "国债与公司债"},
};

const char *news_word(bool chinese, enum news_word word)
{
    return chinese ? words[word].chinese : words[word].english;
}

static const char *look_up(const struct term *list, size_t n, bool chinese, const char *text)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(list[i].key, text) == 0)
            return chinese ? list[i].chinese : list[i].english;
    return text;
}

const char *news_word_of(bool chinese, const char *text)
{
    return look_up(terms, sizeof terms / sizeof terms[0], chinese, text);
}

const char *news_word_topic(bool chinese, const char *label)
{
    return look_up(topics, sizeof topics / sizeof topics[0], chinese, label);
}

const char *news_word_tone(bool chinese, int tone)
{
    return news_word_of(chinese, tone < 0 ? "negative" : tone > 0 ? "positive" : "neutral");
}

const char *news_word_stage(bool chinese, enum news_stage stage)
{
    return news_word_of(chinese, news_stage_name(stage));
}
