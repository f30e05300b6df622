"""Simplified Chinese."""

TEXT = {
    "tagline": "看看视觉 Transformer 在看哪里，以及融合它们会带来什么变化",
    "copy_link": "复制链接",
    "copied": "已复制",
    "copied_settings": "已复制（不含你的图片）",
    "picture": "图片",
    "samples": "示例",
    "analyse": "分析",
    "analyse_about": "分析（约 {seconds} 秒）",
    "analyse_fetch": "分析（首次需下载 {megabytes} MB）",
    "cancel": "取消",
    "collection": "模型集",
    "collection.info": "同一集内的骨干网络识别相同的类别。",
    "collection.flowers": "花卉",
    "collection.imagenet": "ImageNet",
    "backbones": "骨干网络",
    "backbones.info": "各自给出自己的答案。",
    "backbone.weights": "{millions} M 参数",
    "backbone.download": "首次下载 {megabytes} MB",
    "backbone.command": "需要 {command}",
    "fusion": "融合方式",
    "fusion.info": "怎样把几个答案合成一个。",
    "methods": "热图",
    "methods.info": "在图片上画什么。",
    "more": "热图设置",
    "trust": "评判热图",
    "still": "下面仍是“{name}”的分析。",
    "still.unnamed": "前一张图片",
    "maps.coming": "正在画这张图片的热图。",
    "maps.missing": "这张图片的热图没有画完，按“分析”即可画出。",
    "broken": "未计入：{reason}",
    "judge": "评判热图",
    "judge_about": "评判热图（约 {seconds} 秒）",
    "judge.stop": "停止评判",
    "judge.stopped": "评判已停止，热图保持不变。",
    "judge.offer": "这些热图有多可信？评判需要一些时间。",
    "judge.reading": "好于随机：先遮住热图认为重要的部分，概率下降得比按随机热图遮挡更快。",
    "unit.own": "每张热图各有自己的尺度。",
    "elsewhere.only": "它们只认识这 {count} 个类别，别的一概不知。",
    "elsewhere.says": "ImageNet 说：{label} {percent}",
    "elsewhere.go": "就这张图片问 ImageNet",
    "link_own": "这个链接来自别人自己的图片，图片不在链接里：这里换成一张示例。",
    "trust.info": "热图画好之后，按每张热图的顺序遮住各部分，并与随机热图比较：每个网络约 200 次计算。",
    "trust.better": "好于随机",
    "trust.like": "与随机相当",
    "trust.worse": "差于随机",
    "trust.legend": (
        "向右：按热图由高到低遮住（虚线）或在模糊图片上露出（实线）越来越多的格子；向上：概率。好的热图降得早、升得早。"
        "灰色：随机热图。好于随机：得分高于每一张随机热图，也高于把它们反过来的热图。"
    ),
    "trust.about": "遮住时的面积 {deletion}，露出时 {insertion}",
    "trust.deletion": "遮住时的面积（越小越好）",
    "trust.insertion": "露出时的面积（越大越好）",
    "trust.score": "得分：露出减遮住",
    "trust.chance": "随机热图的得分",
    "trust.margin": "它们都在此范围内",
    "trust.centre": "画面中央一团的得分",
    "trust.energy": "热图落在物体上的比例",
    "trust.of": "{share} %（均匀热图：{even} %）",
    "trust.pointing": "最高点落在物体上",
    "yes": "是",
    "no": "否",
    "enlarge": "放大，并显示全部数值",
    "loupe.close": "关闭",
    "loupe.download": "这张热图（PNG）",
    "loupe.figures": "原始数值",
    "scrutiny": "进一步检验这张热图",
    "scrutiny.info": "用打乱了权重的网络、用几乎相同的图片，重新画这张热图。",
    "scrutiny.head": "最后一层被打乱之后，与原热图的相似度",
    "scrutiny.head.reading": "1 表示热图不变：那么它与类别无关。",
    "scrutiny.all": "所有层被打乱之后，与原热图的相似度",
    "scrutiny.all.reading": "接近 0 为好。接近 1 说明热图画的只是图片本身，而不是网络学到的东西。",
    "scrutiny.infidelity": "预言遮住后变化的误差",
    "scrutiny.infidelity.reading": (
        "反复随机遮住图片的一半：误差越小越好（infidelity，失真度）。随机热图为 {random}，中央一团为 {centre}。"
        "只想说明“该看哪里”的热图，用它来衡量会偏严。"
    ),
    "scrutiny.sensitivity": "图片几乎不变时，热图的变化",
    "scrutiny.sensitivity.reading": (
        "0 表示不变，1 表示变化与热图本身一样大：越小越稳定（sensitivity，敏感度）。"
        "永远不变的热图也很稳定，却什么也没说明。"
    ),
    "scrutiny.none": "那时没有热图",
    "raw.grid": "网格",
    "raw.lowest": "最小",
    "raw.highest": "最大",
    "raw.sum": "总和",
    "raw.members": "有热图的骨干网络数",
    "raw.of": "骨干网络总数",
    "raw.picture": "图片的概率",
    "raw.baseline": "基线的概率",
    "raw.nothing": "全部遮住时的概率",
    "raw.error": "误差：总和与差值之差",
    "raw.relative_error": "误差占差值的比例",
    "raw.steps": "步数",
    "raw.samples": "采样数",
    "raw.layer": "层",
    "raw.logit_difference": "图片与基线的 logit 之差",
    "raw.logit_sum": "logit 的总和",
    "raw.logit_error": "误差占 logit 差值的比例",
    "raw.patches": "逐个遮住的部分数",
    "raw.regions": "区域数",
    "raw.coalitions": "试过的区域组合数",
    "raw.fit": "线性模型所解释的比例（R²）",
    "raw.overlap": "各骨干网络热图共有的比例",
    "class.daisy": "雏菊",
    "class.dandelion": "蒲公英",
    "class.roses": "玫瑰",
    "class.sunflowers": "向日葵",
    "class.tulips": "郁金香",
    "against": "与之比较",
    "against.info": "它的概率比另一个类别高多少。",
    "against.none": "不比较",
    "target.second": "第二选择",
    "versus": "{target} 对比 {against}",
    "fusion.fitted": "{title}（用留出的图片学得）",
    "options.attention": "注意力",
    "options.gradient": "梯度",
    "options.perturbation": "遮住一部分",
    "options.cam": "最后的特征图",
    "options.shared": "多类方法共用",
    "option.fused_map": "融合的热图",
    "option.fused_map.info": "由方法本身得出，或由各网络的热图合成。",
    "fused_map.direct": "方法本身",
    "fused_map.mean": "加权平均",
    "fused_map.consensus": "共识",
    "fused_map.intersection": "交集",
    "fused_map.union": "并集",
    "fused_map.disagreement": "分歧",
    "option.head_fusion": "注意力头",
    "option.head_fusion.info": "每层用几种方式去看（头）；这里把它们合成一种。",
    "option.residual": "展开：捷径的权重",
    "option.residual.info": "小块从一层到下一层保留自身多少；论文取一半。",
    "option.discard": "展开：忽略弱注意力的比例",
    "option.discard.info": "0 与论文一致；越大热图越稀疏。",
    "option.start": "展开：起始层",
    "option.start.info": "之前的层不计；从 0 数起。",
    "option.layer": "原始注意力：层",
    "option.layer.info": "从 0 数起；-1 为最后一层。",
    "option.head": "原始注意力：头",
    "option.head.info": "从 0 数起；-1 把所有头合成一个。",
    "option.query": "原始注意力：由哪个小块去看",
    "option.query.info": "逐行从 0 数起；-1 为读出答案的位置。",
    "option.baseline": "空白图片",
    "option.baseline.info": "梯度方法从它渐变而来，遮住的部分也显示成它。",
    "baseline.average": "全部，取平均",
    "option.steps": "积分梯度：步数",
    "option.steps.info": "起始步数；在加不起来的路段再细分，最多 256 步。",
    "option.smoothing": "平滑",
    "option.smoothing.info": "把许多带噪声副本的热图合成一张。",
    "smoothing.none": "无",
    "smoothing.smoothgrad": "平均（SmoothGrad）",
    "smoothing.smoothgrad_sq": "平方的平均",
    "smoothing.vargrad": "方差（VarGrad）",
    "option.samples": "带噪声的副本或随机点的数量",
    "option.samples.info": "越多越平稳，也越慢；有平滑或随机时才用到。",
    "option.noise": "噪声强度",
    "option.noise.info": "标准差；1 表示从黑到白。",
    "option.patches": "遮挡：长边上的块数",
    "option.patches.info": "块越多细节越清楚，也越慢。",
    "option.window": "遮挡：方块的边长",
    "option.window.info": "以小块为单位；大于 1 时逐块滑动。",
    "option.regions": "区域",
    "option.regions.info": "一起遮住的部分：颜色相近之处，或方格。",
    "regions.superpixels": "颜色相近",
    "regions.patches": "方格",
    "option.segments": "区域数量",
    "option.segments.info": "最多；越多细节越清楚，也越慢。",
    "option.coalitions": "KernelSHAP、LIME：图片数",
    "option.coalitions.info": "遮住部分区域的图片；越多越准确，也越慢。",
    "hint.more": "公式与出处",
    "head_fusion.mean": "平均",
    "head_fusion.max": "最大",
    "head_fusion.min": "最小",
    "baseline.black": "黑色",
    "baseline.white": "白色",
    "baseline.blurred": "模糊",
    "baseline.mean": "平均色",
    "target": "为哪个类别画热图",
    "target.info": "融合后的答案，或任意类别。",
    "target.top": "融合后的答案",
    "opacity": "不透明度",
    "opacity.info": "热图盖住图片的程度。",
    "scale": "色标",
    "scale.info": "哪些热图共用一个色标。",
    "scale.each": "每张热图",
    "scale.row": "每个网络",
    "scale.all": "每种方法",
    "colours": "配色",
    "colours.info": "用于没有正负号的热图。",
    "figure": "图（PNG）",
    "raw": "原始热图（NPZ）",
    "json": "全部结果（JSON）",
    "report": "报告（HTML）",
    "report_image": "报告（PNG）",
    "script": "复制为 Python",
    "script.lines": "用这些代码可以重现本次分析",
    "report.title": "vitdemo：{label}",
    "report.picture": "被分析的图片：{name}",
    "report.unnamed": "未命名",
    "report.settings": "设置",
    "report.versions": "生成环境",
    "report.date": "日期",
    "report.software": "软件",
    "report.device": "计算设备",
    "report.licences": "权重的许可",
    "fused": "融合",
    "weight": "占权重 {weight} %",
    "weight.none": "未计入",
    "agree.one": "只有一个骨干网络，无需融合。",
    "agree.all": "{count} 个骨干网络都这么说。",
    "agree.not": "{names} {verb}：{label}",
    "agree.disagrees": "另有说法",
    "agree.disagree": "另有说法",
    "agreement": "概率相似度 {percent} %",
    "agreement.more": (
        "各网络的概率有多相似，不论谁说了什么：1 减去它们的 Jensen-Shannon 散度，数字完全相同时为 100 %。"
    ),
    "ran": "{fusion}，{count} 个网络 · {device} · {seconds} 秒",
    "ran.sample": "示例",
    "ran.prepared": "{fusion}，{count} 个网络 · 事先准备好的结果",
    "ran.kept": "{fusion}，{count} 个网络 · 之前算过并保留的结果",
    "not_offered": "没有热图：{reason}",
    "not_seen": "斜线部分：骨干网络看到之前就被裁掉了，热图对那里什么也没说。",
    "map_of": "{subject} 对“{target}”的{method}",
    "adds_up": "合计 {sum}，应为 {difference} 个百分点",
    "adds_up.more": (
        "“{target}”的概率在原图上是 {picture} %，在空白图片上是 {baseline} %；热图的总和应等于两者之差。"
        "经过 {steps} 步，误差为差值的 {error} %。"
    ),
    "adds_up.off": "，误差超过 5 %",
    "adds_up.nothing": "原图与空白图片得分相同",
    "members": "来自 {of} 个网络中的 {members} 个",
    "same_for_all": "对每个类别都一样",
    "limits": "它不能说明什么",
    "working.loading": "正在加载骨干网络",
    "working.waiting": "正在等待其他访客占用的内存",
    "working.fetching": "正在下载 {subject}：{done} / {total} MB",
    "working.predicted": "已得出预测，正在画热图",
    "working.scrutinising": "正在检验{method}：{subject}",
    "working.explained": "热图已画好，正在检查它们有多可信",
    "working.judging": "正在检查{method}有多可信：{subject}",
    "working.explaining": "{method}：{subject}",
    "working.queued": "排队中",
    "stale": "以下是更改设置之前的结果。要更新，请按：{button}。",
    "cancelled": "已取消。",
    "no_picture": "还没有图片：请在上方拖入、粘贴、拍摄，或选择一个示例。",
    "no_methods": "没有选择热图：请在“热图”下勾选一项或多项。",
    "unexpected": "发生了不该发生的错误。服务器继续运行，详情见其日志。",
    "link_ignored": "链接中有一部分无法识别，已忽略：{what}。",
    "footnote": (
        "热图显示的是方法算出的结果，而不是网络的想法。红色支持该类别，蓝色反对；没有正负号的热图由暗到亮。"
        "逐像素的热图略作平滑以便观看，原始数值见下载文件。色标上的数字是热图中一格的值：格子越细，数字越小。"
    ),
    "other_language": "English",
    "look": "深色",
    "projector": "投影",
    "tab.analyse": "分析",
    "tab.compare": "比较",
    "tab.learn": "学习",
    "fusions.refused": "不提供：{names}（{reason}）",
    "family.attention": "来自注意力",
    "family.gradient": "来自梯度",
    "family.perturbation": "遮住一部分",
    "family.cam": "来自最后的特征图",
    "comma": "、",
    "compare.this": "这张图片",
    "compare.this.reading": "每种融合都就左边的图片询问同样的骨干网络，不同的只是怎样处理它们的答案。",
    "compare.this.fusion": "融合方式",
    "compare.this.best": "它最看好的三个类别",
    "compare.this.weights": "每个网络的权重",
    "compare.same": "{count} 种融合都说：{label}。",
    "compare.says": "{label}：{names}",
    "compare.chosen": "当前选择",
    "compare.refused": "不提供：{reason}",
    "compare.absent": (
        "模型集 {collection} 还没有测量结果。可以用下面的命令得到：python -m vitdemo evaluate --data FOLDER"
    ),
    "compare.measured.title": "在测试图片上",
    "compare.measured.title.reading": "重要的不是一张图片，而是许多没有被用来学习的图片。",
    "compare.measured": "在 {pictures} 张测试图片上测量一次，没有用它们做过任何选择。",
    "compare.best": "最好的单个网络是 {name}，答对 {share} %。",
    "compare.better": ("融合{of}后，比它更好且难以用运气解释的（提升的 95 % 区间在零以上）：{names}。"),
    "compare.none_better": (
        "融合{of}时，没有哪种融合的提升 95 % 区间在零以上：这里融合没有带来好处，或者小得测不出来。"
    ),
    "compare.worse": ("比它更差且难以用运气解释的：{names}。"),
    "compare.accuracy": "准确率与代价",
    "compare.accuracy.reading": (
        "越高答对越多，越靠右代价越大；两条竖线高度重叠时，差别可能只是运气。圆点是单个网络，方块是融合；代价"
        "相同的并排放置。虚线：最好的单个网络。"
    ),
    "compare.accuracy.about": "{count} 个点及其 95 % 区间；横轴：{what}。全部数值见下表。",
    "compare.top1": "答对的比例（top-1）",
    "compare.level": "最好的单个网络：{name}",
    "compare.no_cost": "没有测量过这种代价。",
    "compare.table": "全部数值",
    "compare.table.reading": "每项质量中最好的加粗；小字是 95 % 区间：100 次这样的测量中，约 95 次真值落在其中。",
    "compare.taught": "由 {names} 教出",
    "compare.reliability": "它的把握可信吗？",
    "compare.reliability.reading": (
        "答案按把握大小分组；落在虚线上表示说多有把握就有多常答对，在虚线下方则过于自信。圆越大，图片越多。"
    ),
    "compare.confidence": "它有多大把握",
    "compare.right_share": "实际答对的比例",
    "calibration.right": "{name} 的把握与实际相符，平均相差不超过 {points} 个百分点。",
    "calibration.over": "{name} 过于自信，平均高出 {points} 个百分点。",
    "calibration.under": "{name} 比自己以为的更常答对，平均多 {points} 个百分点。",
    "compare.ece": "期望校准误差：{ece} %。",
    "compare.pairs": "谁会一起犯错？",
    "compare.pairs.reading": "只有网络在不同的图片上犯错，融合才有帮助：请找浅色的格子。",
    "compare.cards": "各个网络",
    "compare.cards.reading": "每个网络从什么图片学来、最初用了谁的参数、在哪里出错。",
    "card.pictures": "图片",
    "card.began": "最初的参数",
    "card.taught": "教它的网络",
    "card.licence": "许可",
    "card.paper": "论文",
    "card.right": "答对",
    "card.right.both": "测试图片的 {test} %，用于挑选的图片的 {validation} %",
    "card.classes": "每类答对",
    "card.confusions": "最常出错",
    "card.confusion": "把{label}当成{said}：{count} 张",
    "card.concentrated": "只看一个小块的注意力",
    "card.concentrated.reading": (
        "从第一层到最后一层，每层有这么多词元把九成以上的注意力给了另外单独一个词元。这样的词元多时，"
        "注意力图显示的是网络存放信息的地方，而不是它在看什么。"
    ),
    "card.command": "训练命令",
    "card.history": "但是",
    "cost": "代价",
    "cost.multiply_adds": "每张图片的乘加次数",
    "cost.ms32": "每张图片毫秒数（一次 32 张）",
    "cost.ms1": "每张图片毫秒数（一次一张）",
    "fused_of": "融合哪些网络",
    "members.fusions": "全部网络",
    "members.fusions_suggested": "页面打开时的网络",
    "calibration_of": "谁的把握",
    "pairs_by": "衡量方式",
    "pairs.both_wrong": "两者都错",
    "pairs.error_correlation": "错误的相关性",
    "pairs.differ": "答案不同",
    "pairs.both_wrong.words": "最常同时答错：{most}；最少：{least}。",
    "pairs.error_correlation.words": "错误最相似（1：同样的图片，0：只凭巧合）：{most}；最不相似：{least}。",
    "pairs.differ.words": "意见最常不同：{most}；最少不同：{least}。",
    "column.name": "名称",
    "column.name.about": "骨干网络或融合",
    "column.top1": "答对",
    "column.top1.about": "第一答案正确的比例（top-1）及其 95 % 区间",
    "column.gain": "提升",
    "column.gain.about": "比最好的单个网络高出的百分点及 95 % 区间",
    "column.nll": "NLL",
    "column.nll.about": "负对数似然：真相让它多意外；越小越好",
    "column.ece": "ECE",
    "column.ece.about": "期望校准误差：把握与准确率相差多少；越小越好",
    "column.parameters": "参数",
    "column.parameters.about": "学到的数的个数",
    "column.multiply_adds": "乘加次数",
    "column.multiply_adds.about": "每张图片",
    "column.ms32": "毫秒（32）",
    "column.ms32.about": "每张图片毫秒数，一次 32 张",
    "column.ms1": "毫秒（1）",
    "column.ms1.about": "单独一张图片的毫秒数",
    "tab.attention": "注意力",
    "attention.backbone": "骨干网络",
    "attention.beside": "并排比较",
    "attention.alone": "不比较",
    "attention.nothing": "请先分析一张图片，然后就能逐块查看它的注意力。",
    "attention.none": "这些骨干网络都不能逐块查看；请勾选视觉 Transformer（vit、deit、swin、levit 等）。",
    "attention.refused": "{name} 不在此列：{reason}。",
    "att.how": (
        "Transformer 把图片切成小块。指向其中一块（或用方向键移动）："
        "亮的小块就是它在这一层、这个头里取用信息的地方。点击可固定，最多三块。"
    ),
    "att.layer": "层",
    "att.head": "头",
    "att.mean": "平均",
    "att.max": "最大",
    "att.min": "最小",
    "att.scale": "亮度",
    "att.scale.map": "每图",
    "att.scale.layer": "每层",
    "att.scale.global": "统一",
    "att.unpin": "全部取消固定",
    "att.keep": "留作比较",
    "att.release": "不再保留",
    "att.keep.info": "把这张图片留在这里，下一张会并排显示，共用同一个指针",
    "att.kept": "{name}（保留）",
    "att.legend": "该词元从小块取用信息的比例；黑色为零。",
    "att.token": "{name}词元",
    "att.patch": "第 {row} 行第 {column} 列的小块",
    "att.patch.of": "{rows} × {columns} 中第 {row} 行第 {column} 列的小块",
    "att.prefix.class": "类别",
    "att.prefix.distillation": "蒸馏",
    "att.prefix.register": "寄存器",
    "att.canvas": "{name} 所见图片的小块；方向键移动，回车固定，Home 到类别词元，Esc 取消固定",
    "att.size": "{layers} 层，{heads} 个头，{patches} 个小块",
    "att.says": "{token}最关注{patch}（{share}）；另有 {rest} 给了图片以外的词元。",
    "att.says.patches": "{token}最关注{patch}（{share}）。",
    "att.says.nothing": "{token}在这一层不提问。",
    "att.says.window": "这里每个小块只看自己窗口内的 {count} 个小块（已勾出轮廓），其他地方不会亮起。",
    "att.received": "得到 {share} 的注意力",
    "att.overview": "所有的层和头",
    "att.overview.reading": (
        "同一个词元在所有层（最上面是第一层）和头里的样子。点击可放大查看；双击或按 i 键只显示一个。"
    ),
    "att.layer.short": "第 {layer} 层",
    "att.thumb": "第 {layer} 层，第 {head} 个头",
    "att.film": "答案的视野如何扩大",
    "att.film.reading": (
        "到这一层为止的 rollout：读出答案的词元的信息可能来自哪里。旁边是假如网络到此为止会给出的答案。"
    ),
    "att.play": "播放",
    "att.pause": "暂停",
    "att.film.layer": "影片的层",
    "att.film.is": "到第 {layer} 层，共 {layers} 层",
    "att.film.note": "前提：{note}。",
    "att.depth": "逐层的答案",
    "att.depth.reading": "最后一层的分类头会怎样看待每一层的词元。它只为最后一层训练过：前面几行只是猜测。",
    "att.depth.none": (
        "不显示网络在更早结束时的答案：这个网络各层的词元与最后一层的不同类，而最后一层的分类头只能读懂最后一层的。"
    ),
    "att.first": "第一",
    "att.second": "第二",
    "att.third": "第三",
    "att.arithmetic": "算式",
    "att.arithmetic.reading": (
        "每个词元用查询 q 提问；每个小块给出键 k 和值 v。q·k/√d 表示它们有多合适；"
        "softmax 把它变成总和为 1 的比例；按比例取用各个值。"
    ),
    "att.arithmetic.of": "{name} 第 {layer} 层第 {head} 个头：{token}取用了什么",
    "att.arithmetic.head": "选择一个头（数字）才能看到数值：多个头的平均没有自己的查询。",
    "att.arithmetic.coming": "这一层的数值正在传来。",
    "att.arithmetic.failed": "这一层的数值没有传来；指向别处时会再次请求。",
    "att.arithmetic.old": "这一层的数值在它的图片还显示在页面上时没有取来。",
    "att.arithmetic.unvalued": "这一层在取用值之前又把各个头混合了一次，所以值的长度不属于任何单独的头。",
    "att.column.patch": "小块",
    "att.column.patch.info": "比例最大的五个小块",
    "att.column.score": "q·k/√d",
    "att.column.score.info": "小块的键与查询有多合适；有位置偏置的结构已把它加上",
    "att.column.weight": "softmax",
    "att.column.weight.info": "exp(得分) 除以所有词元的 exp 之和",
    "att.column.value": "‖v‖",
    "att.column.value.info": "小块提供的值的长度",
    "att.column.product": "softmax · ‖v‖",
    "att.column.product.info": "从它取用的长度",
    "att.others": "其他所有词元",
    "att.sum": "总和",
    "tab.whatif": "如果……",
    "whatif.nothing": "请先分析一张图片；然后可以在这里改动它，看看答案取决于什么。",
    "whatif.hide": "遮住一部分",
    "whatif.hide.reading": (
        "把一部分涂灰，看看没有它时各网络怎么说。灰块本身对网络也是新东西：学习时从没见过，"
        "所以只有在别处遮住同样多而影响更小时，概率下降才说明这里重要。"
    ),
    "whatif.hide.none": "还没有遮住任何部分。点击图片上的小块、用画笔涂抹，或让热图来选；前后的答案会显示在这里。",
    "whatif.grid": "小块划分",
    "whatif.grid.info": "某个网络自己的小块，或普通方格。",
    "whatif.plain": "{rows} × {columns} 方格",
    "whatif.patches": "{name}，{rows} × {columns}",
    "whatif.tool": "遮挡工具",
    "whatif.tool.patch": "小块",
    "whatif.tool.brush": "画笔",
    "whatif.tool.eraser": "橡皮",
    "whatif.brush": "画笔粗细",
    "whatif.brush.small": "细",
    "whatif.brush.medium": "中",
    "whatif.brush.large": "粗",
    "whatif.reset": "全部恢复",
    "whatif.take": "分析这张图片",
    "whatif.take.nothing": "没有遮住任何部分，也就没有改动过的图片可分析；请先遮住一部分。",
    "whatif.by": "按融合热图选择",
    "whatif.by.info": "由哪种热图来判断什么重要。",
    "whatif.by.none": "没有融合热图：只能随机选择",
    "whatif.part": "小块所占比例（%）",
    "whatif.rank.most": "遮住最重要的",
    "whatif.rank.least": "遮住最不重要的",
    "whatif.rank.random": "随机遮住同样多",
    "whatif.rank.reading": (
        "这是对热图的检验：如果热图是对的，遮住它认为重要的部分会比随机遮挡更多地降低概率，遮住不重要的则降得更少。"
        "对有正负号的热图，“最不重要”指反对该类别的部分。"
    ),
    "whatif.shown": "改动后图片的融合热图",
    "whatif.shown.none": "不显示",
    "whatif.canvas": "带小块网格的图片；方向键在小块间移动，回车键遮住或恢复一个小块",
    "whatif.patch.hidden": "第 {row} 行第 {column} 列：已遮住",
    "whatif.patch.seen": "第 {row} 行第 {column} 列：可见",
    "whatif.share": "图片有 {share} 是灰色。",
    "whatif.same": "答案仍是 {label}：{before} → {after}。",
    "whatif.changed": "答案变了：{before} → {after}。",
    "whatif.still": "仍是 {label}",
    "whatif.bars": "细条：之前。粗条：之后。",
    "whatif.map.before": "{method}，之前",
    "whatif.map.after": "{method}，之后",
    "whatif.map.about": "两张热图都针对 {label}，使用同一色标。",
    "whatif.attack": "误导它",
    "whatif.attack.reading": (
        "把每个像素朝最不利的方向改动一点点，小到看不出来。这很重要，因为分类器可能在一张谁都不会认错的图片上"
        "既自信又出错。"
    ),
    "whatif.attack.none": "还没有攻击：选择要误导谁、允许改动多少，然后按下按钮。",
    "whatif.attack.go": "攻击",
    "whatif.attack.take": "分析被攻击的图片",
    "whatif.attack.jumps": (
        "投票会在类别之间跳变，没有梯度告诉我们怎样误导它；可以改为攻击各网络的平均，再看投票怎么说。"
    ),
    "whatif.subject": "攻击对象",
    "whatif.subject.info": "攻击者只了解它；其他网络只看到结果。",
    "whatif.method": "攻击方法",
    "whatif.method.info": "FGSM 沿梯度走一步，PGD 走许多小步。",
    "whatif.epsilon": "最大改动（ε，满值 255）",
    "whatif.epsilon.info": "任何颜色值的改动都不超过它。",
    "whatif.steps": "PGD 步数",
    "whatif.steps.info": "步数越多，找到的图片越能误导，耗时也越长。",
    "whatif.original": "原图",
    "whatif.perturbation": "改动，放大 {times} 倍；灰色表示没有改动",
    "whatif.attacked": "被攻击后：任何值的差都不超过 {largest}",
    "whatif.fused.of": "融合模型",
    "whatif.made.for": "为误导 {name} 而作：{method}，ε = {epsilon}（满值 255）。",
    "whatif.verdict.nobody": "没有谁改变答案。",
    "whatif.verdict.resists": "融合顶住了：{names} 改变了答案，融合答案没有变。",
    "whatif.verdict.falls": "融合也失守了：{names} 改变了答案，融合模型也变了。",
    "whatif.verdict.only": "只有融合答案变了：各网络都坚持原来的答案，只是没那么确定了。",
    "whatif.verdict.alone.falls": "{name} 改变了答案。",
    "whatif.verdict.alone.stands": "{name} 坚持原来的答案。",
    "whatif.classes": "类别对类别",
    "whatif.classes.reading": (
        "对两个类别分别提问：为什么是它，以及为什么是这个而不是那个。注意力展开分不清它们：它追踪注意力，"
        "而注意力在说出任何类别之前就已存在。梯度则是针对某个类别求的。"
    ),
    "whatif.classes.none": "还没有比较：选择两个类别，然后按下按钮。",
    "whatif.classes.go": "比较两个类别",
    "whatif.first": "类别 A",
    "whatif.second": "类别 B",
    "whatif.with": "方法",
    "whatif.backbone": "与融合模型并列",
    "whatif.column.rollout": "注意力展开，A 与 B 相同",
    "whatif.column.for": "{method}：{label}",
    "whatif.column.difference": "差别：为什么是 {first} 而不是 {second}",
    "whatif.alike": "A 与 B 热图的相似度：{value}",
    "whatif.alike.about": (
        "相似度是两张热图的相关系数：1 表示同一张图，0 表示毫无共同之处，−1 表示相反。A 与 B 的热图共用一个色标，"
        "差别图有自己的色标。"
    ),
    "whatif.knows": "{method}知道类别：两张热图不同。注意力展开不知道：两个类别是同一张图。",
    "whatif.knows.same": "{method}在这里几乎分不清两个类别；注意力展开完全不能：两个类别是同一张图。",
    "whatif.knows.none": "{method}在这里没有热图；请换一种方法。",
    "whatif.working.attack": "正在寻找能误导的图片",
    "whatif.working.classes": "正在解释两个类别",
    "whatif.cancelled": "已取消。",
    "study": "哪些热图可信",
    "study.reading": (
        "这些图片是画出来的，花的种类和位置都已知：解释答案的热图应当落在花上。颜色越深越好；最下面是一无所知的图。"
    ),
    "study.absent": "这个模型集没有测量过；可运行 python -m vitdemo evaluate --explain。",
    "study.figure": "指标",
    "study.nothing": "没有测量这个指标。",
    "study.not_measured": "未测量",
    "study.interval": "95 % 区间 {low} 到 {high}",
    "study.each": "骨干网络平均",
    "study.fused": "融合",
    "study.of": "{one} 张只画一种花的图，{two} 张画两种花的图，{photographs} 张照片；慢的方法只用其中一部分。",
    "study.floor.random": "随机图",
    "study.floor.centre": "中央光斑",
    "study.two": "两种花",
    "study.two.about": "图中有两种花，指定其中一种：热图最强点落在指定花上的比例。不区分类别的方法最多对一半。",
    "study.pointing": "指向",
    "study.pointing.about": "只有一种花：热图最强点落在花上的比例。",
    "study.energy": "能量",
    "study.energy.about": "只有一种花：热图落在花上的份额。",
    "study.insertion": "插入",
    "study.insertion.about": "先显示最重要的部分：类别概率上升得多快。越大越好。",
    "study.deletion": "删除",
    "study.deletion.about": "先遮住最重要的部分：类别概率还剩多少。越小越好。",
    "study.random_head": "随机分类头",
    "study.random_head.about": "与最后一层随机化后的网络的热图的秩相关。接近 1 说明热图与最后学到的东西无关。",
    "study.random_all": "全部随机",
    "study.random_all.about": "与权重全部随机化的网络的热图的秩相关。远离 0 说明热图显示的是图片而不是网络。",
    "study.milliseconds": "毫秒",
    "study.milliseconds.about": "除预测以外，做一张热图的时间。",
}

# Fusions: name: (title, what it does). One line for each entry of the registry.
FUSIONS = {
    "mean": ("平均", "每个骨干网络同等重要：把概率取平均。"),
    "geometric": ("几何平均", "把概率相乘：只要有一个网络确信不是某一类，就能排除它。"),
    "validation": ("按准确率加权", "在验证图片上答对更多的网络，分量更重。"),
    "confidence": ("按把握加权", "对每张图片分别计算：越有把握的网络分量越重。当心：有把握不等于正确。"),
    "vote": ("多数表决", "每个网络投自己的第一选择；对胜出者的概率取平均，其余不计。"),
    "classwise": (
        "逐类加权",
        "每个网络在每个类别上各有一个权重：在留出的图片上，谁更会认这一类，谁在这一类上分量就更重。",
    ),
    "greedy": ("贪心挑选", "在留出的图片上一次挑一个网络加入平均，每次挑让结果最好的那个；被挑中多次的分量更重。"),
    "stacking": ("堆叠", "用留出的图片训练一个小模型，让它从所有网络的概率中学会该信谁。"),
    "features": ("特征融合", "不看各网络的答案，而是把它们看到的特征拼在一起，再用留出的图片训练一个新的分类层。"),
    "multiscale": ("多尺度融合", "一个新的分类层在同一网格上读取每个网络内部由细到粗的特征：纹理与形状一起看。"),
    "calibrated": ("校准后的平均", "先取平均，再在验证图片上校正它的把握：说多有把握，就有多常答对。"),
}

# Methods of maps: name: (title, what it does, what it cannot tell). One entry for each of the registry.
METHODS = {
    "rollout": (
        "注意力展开",
        "顺着所有层的注意力，从答案一路回溯到图片的各个小块。",
        "它显示信息可能从哪里流过，而不是怎样被使用；对每个类别都一样。",
    ),
    "relevance": (
        "相关性",
        "逐层回溯，只跟随那些能提高该类别得分的注意力。",
        "它只计支持该类别的部分，反对的部分不计。",
    ),
    "gradient_rollout": (
        "梯度展开",
        "注意力展开，但每一次注视按它把该类别得分提高多少来计算。",
        "支持与反对该类别的注意力头，在回溯之前就相互抵消了。",
    ),
    "attention": (
        "原始注意力",
        "一个词元在某一层里看哪里：默认是最后一层。",
        "单独一层说明不了多少：它读到的内容，已被前面各层混合过。",
    ),
    "integrated_gradients": (
        "积分梯度",
        "让图片从空白渐渐显现，累加每个像素一路上对概率的影响。",
        "结果取决于所选的空白图片；一个像素的份额也不等于去掉它之后的变化。",
    ),
    "smoothgrad": (
        "平滑梯度",
        "概率对哪些像素最敏感？在许多加了噪声的副本上取平均。",
        "它显示概率对哪里敏感，而不说明像素是支持还是反对该类别。",
    ),
    "occlusion": (
        "遮挡",
        "依次遮住每一小块，看概率下降多少。",
        "每次只遮一块：两块合起来才说明的、或任一块都能说明的，它看不到。",
    ),
    "gradient": (
        "梯度",
        "每个像素稍有变化时，概率的反应有多大？",
        "它噪声很大，显示的是敏感度而不是证据；把权重打乱后，它的大部分样子仍然不变。",
    ),
    "input_x_gradient": (
        "输入 × 梯度",
        "把概率对每个像素的敏感度乘以像素的亮度。",
        "黑色像素总是得到零；只有当网络近似一条直线时它才准确。",
    ),
    "gradient_shap": (
        "GradientShap",
        "与积分梯度相似，但取原图与空白图片之间的随机点。",
        "结果取决于空白图片和运气：点太少时，总和只是大致吻合。",
    ),
    "deep_lift": (
        "DeepLift",
        "把每个神经元与它在空白图片上的状态比较，再把差异逐层交还给像素。",
        "它只为简单的网络定有规则；份额加起来不吻合时就不显示。",
    ),
    "guided_backprop": (
        "引导反向传播",
        "从类别回溯到像素，只走每一层都起推动作用的路径。",
        "它把边缘画得很清楚，却几乎不取决于类别，甚至不取决于网络学到了什么。",
    ),
    "feature_ablation": (
        "区域消融",
        "依次遮住每个颜色相近的区域，看概率下降多少。",
        "每次只遮一个区域；区域的边界决定了它能发现什么。",
    ),
    "kernel_shap": (
        "KernelSHAP",
        "用许多方式同时遮住若干区域，把概率公平地分给各个区域。",
        "它由随机抽样估计；遮住一半区域的图片也不像任何照片。",
    ),
    "lime": (
        "LIME",
        "随机遮住一些区域，再找出最简单的规则（各区域之和）来说明概率。",
        "规则可能并不吻合（见其拟合度），并且随所选邻域的宽度而变。",
    ),
    "grad_cam": (
        "GradCAM",
        "最后几层在每个位置发现了什么？按它对类别的支持程度加权。",
        "它很粗糙，只看最后的层，而那时一个位置可能含有图片任何地方的信息。",
    ),
}

# Why something is not offered or cannot be done, and what a map takes for granted: whole sentences and parts of them.
REASONS = {
    # methods
    "the weighted mean of the backbones' maps: ": "各网络热图的加权平均：",
    "it explains the logit of one backbone, and a fused model has none": "它解释单个网络的 logit，融合模型没有 logit",
    "it looks into one backbone, and a fused model has no layer of its own": "它查看单个网络内部，融合模型没有自己的层",
    "a fused model has no attention but that of its backbones": "融合模型没有自己的注意力，只有各网络的注意力",
    " is the same for every class, so it cannot compare two of them": "对每个类别都一样，无法比较两个类别",
    " jumps from class to class, so it has no gradient; occlusion works.": "会在类别之间跳变，没有梯度；可以用遮挡。",
    " jumps from class to class, so no gradient leads to a mistake; allowed: another fusion.": (
        "会在类别之间跳变，没有梯度可以引向错误；请换一种融合方式。"
    ),
    "guided backpropagation is defined for networks of ReLUs alone, and this one has ": (
        "引导反向传播只对仅含 ReLU 的网络有定义，而这个网络含有 "
    ),
    "no ReLU as a module": "的 ReLU 不是独立的模块",
    "DeepLift does not add up here: its error is ": "DeepLift 在这里加起来不吻合：误差为所解释差值的 ",
    " % of the difference that it explains, more than the 5 % that are let pass; integrated gradients add up": (
        " %，超过允许的 5 %；积分梯度是吻合的"
    ),
    "GradCAM was not checked for LeViT made of convolutions": "GradCAM 尚未在由卷积构成的 LeViT 上验证",
    "GradCAM was not checked for CrossViT with another exchange, head or cut than the published ones": (
        "GradCAM 尚未在交换方式、分类头或裁剪与已发表版本不同的 CrossViT 上验证"
    ),
    "the maps of both branches are added; coarse patches are spread over the fine ones that they cover": (
        "两条分支的热图相加；粗块按面积分给它所覆盖的细块"
    ),
    "GradCAM was not checked for ": "GradCAM 尚未验证：",
    ": which of its layers to take, and which axis, is not settled": "（该取哪一层、哪个轴尚未确定）",
    "GradCAM needs what the last block's attention reads, and a ": "GradCAM 需要最后一个模块的注意力所读取的内容，而 ",
    " has no layer that holds it": " 没有保存它的层",
    "only the class token asks in this layer: leave query at -1": "这一层里只有类别词元在提问：请让查询保持 -1",
    "the class token does not ask in this layer: choose a patch as query, or a later layer": (
        "类别词元在这一层不提问：请选一个小块作为查询，或选靠后的层"
    ),
    "it was not asked for": "没有要求计算它",
    "the numbers of this map are not finite": "这张热图的数值不是有限数",
    # attention
    "a convolutional network has no attention": "卷积网络没有注意力",
    "MobileViT attends within each pixel phase and convolves in between: no token is one patch": (
        "MobileViT 在各像素相位内做注意力，中间夹着卷积：没有哪个词元对应一个小块"
    ),
    "MobileViTv2 scores each patch for all others at once: it has no attention from patch to patch": (
        "MobileViTv2 一次为每个小块打一个分：没有小块之间的注意力"
    ),
    "XCiT attends over channels, not over places": "XCiT 的注意力作用于通道，而不是位置",
    " is not an architecture for which rollout was checked": " 不在已验证展开的架构之列",
    "its blocks are not plain transformer blocks, for which alone rollout was checked": (
        "它的模块不是普通的 Transformer 模块，而展开只在后者上验证过"
    ),
    "its patches are not laid out on a plain grid": "它的小块没有排成普通的网格",
    "it has not two branches with one exchange a stage, for which alone rollout was checked": (
        "它不是每阶段交换一次的两条分支，而展开只在这种结构上验证过"
    ),
    "its head pools two branches of different lengths, for which rollout was not checked": (
        "它的分类头汇合两条长度不同的分支，展开尚未在此验证"
    ),
    "its windows and its grid attend side by side, for which rollout was not checked": (
        "它的窗口注意力与网格注意力并行，展开尚未在此验证"
    ),
    "it has no attention from place to place": "它没有位置之间的注意力",
    "This backbone uses causal or grouped attention, which is not recorded here.": (
        "这个网络使用因果注意力或分组注意力，这里不作记录。"
    ),
    "it sees the picture in two grids at once, so a place in it has no one token": (
        "它同时用两种网格看图片，所以一个位置并不对应唯一的词元"
    ),
    "it mixes attention by content with attention by position, so a share has no one score": (
        "它把按内容的注意力与按位置的注意力混合，所以一个份额并不来自唯一的得分"
    ),
    "several attentions run side by side in its layers, so its heads have no common numbers": (
        "它的层里有几个并行的注意力，所以各个头没有统一的编号"
    ),
    "its patches are read by a query of its own in the end, which is no token": (
        "最后读取小块的是一个单独的查询，它不是词元"
    ),
    "an extension: ": "推广：",
    "down to the tokens of its convolutional stem, no further": "只到卷积主干的词元为止",
    "its head reads the class token and the mean of the patches, which count half each": (
        "它的头部读取类别词元和各小块的平均，两者各占一半"
    ),
    "heads are mixed once more after the softmax, which is left out because rows are signed after it": (
        "softmax 之后各个头又混合了一次；因为混合后会有负值，这里略去"
    ),
    "attention by content and by position are mixed as the model mixes them": (
        "按内容和按位置的注意力，按模型自己的方式混合"
    ),
    "both branches are one state; coarse patches are spread over the fine ones that they cover": (
        "两条分支看作一个状态；粗块分给它所覆盖的细块"
    ),
    "where tokens are dropped there is no skip connection: attention alone counts": (
        "在丢弃词元的地方没有跳跃连接：只计注意力"
    ),
    "pooling is taken as the mean of the patches under it": "池化看作其下小块的平均",
    "windows are put back where they lie": "窗口放回其所在位置",
    "merging patches is taken as their mean": "合并小块看作它们的平均",
    "convolutions between the layers are taken to stay in place": "层间的卷积看作停留在原位",
    ". Integrated gradients and occlusion work for every backbone.": "。积分梯度和遮挡适用于每个骨干网络。",
    # fusions
    "majority vote": "多数表决",
    "Majority vote": "多数表决",
    "there is no record of what these backbones said of validation pictures": "没有这些网络在验证图片上的答案记录",
    "it reads maps from inside the backbones, which are kept when it is the chosen fusion": (
        "它要读取网络内部的特征图，只有选中这种融合时才会保留它们"
    ),
    # pictures, weights, machines
    "JPEG, PNG, WebP, GIF or BMP": "JPEG、PNG、WebP、GIF 或 BMP",
    "The picture needs more memory than there is; send a smaller one.": (
        "图片需要的内存超过现有内存；请换一张小一些的。"
    ),
    " starts like ": " 的开头像 ",
    " but cannot be decoded: it is damaged, incomplete, or its metadata is out of bounds.": (
        "，但无法解码：文件已损坏、不完整，或元数据超出范围。"
    ),
    "The GPU was taken away before the work was done; try again, or ask for less at once.": (
        "工作完成之前 GPU 就被收回了；请重试，或一次少要求一些。"
    ),
    "What is hidden was not understood; expected: an object with stamp, grid, hidden (patches) and mask.": (
        "看不懂遮住了什么；应为包含 stamp、grid、hidden（小块）和 mask 的对象。"
    ),
    "its checksum is not the hub's": "校验和与服务器的不符",
    "it is no complete safetensors file": "不是完整的 safetensors 文件",
    "The bundled flowers collection works without it.": "自带的花卉集合不需要它也能用。",
}

# Those with names or numbers in them, as regular expressions.
PATTERNS = {
    r"^(?:.* )?has to learn from validation pictures, and (.+)\.$": r"需要从验证图片学习，但\1。",
    r"the record of (\S+) is of other classes": r"\1 的记录属于其他类别",
    r"the record of (\S+) lacks ([^;]+); allowed: ([^。]+)": r"\1 的记录里没有 \2；允许：\3",
    r"the record of (\S+) was made with other weights or settings of ([^\s。]+)": r"\1 的记录来自 \2 的其他权重或设置",
    r"([\w-]+) does not show the maps of its stages; allowed: ([^。]+)": r"\1 不提供各阶段的特征图；允许：\2",
    r"([\w-]+) does not show the maps of its stages; choose a fusion that needs none\.": (
        r"\1 不提供各阶段的特征图；请选择不需要特征图的融合方式。"
    ),
    r"the record of (\S+) does not say how cautiously": r"\1 的记录没有说明要多谨慎",
    r"its head pools by (\S+), for which rollout was not checked": r"它的分类头按 \1 汇合，展开尚未在此验证",
    r"(而这个网络含有 .*)\battention\b": r"\1注意力",
    r"(而这个网络含有 .*) and ": r"\1 和",
    r"head is (\S+), but the heads of layer (\S+) are 0 to (\S+)": r"头的值是 \1，但第 \2 层的头为 0 到 \3",
    r"(\w+) is (\S+), but this backbone has 0 to (\S+)": r"“\1”的值是 \2，但这个网络只有 0 到 \3",
    r"^(.+) cannot be examined token by token: (.+)\.$": r"\1 无法逐个词元查看：\2。",
    r"^(.+) computes its attention in a way that is not seen layer by layer; .+ still work\.$": (
        r"\1 计算注意力的方式无法逐层看到；积分梯度和遮挡仍然可用。"
    ),
    r"^token (\S+) asks nothing in layer (\S+); allowed: (\S+) to (\S+)\.$": (
        r"词元 \1 在第 \2 层不提问；允许：\3 到 \4。"
    ),
    r"^There is no patch (\S+); allowed: (\S+) to (\S+)\.$": r"没有小块 \1；允许：\2 到 \3。",
    r"^There is no grid (.+); allowed: (.+)\.$": r"没有网格 \1；允许：\2。",
    r"^(.+) cannot be attacked; allowed: (.+)\.$": r"\1 不能被攻击；允许：\2。",
    r"^(.+) is the same for every class, so it compares none; allowed: (.+)\.$": (
        r"\1 对每个类别都一样，无法比较类别；允许：\2。"
    ),
    r"^(.+) gives numbers that are not finite here, which are no answer: its weights may be damaged\.$": (
        r"\1 在这里给出的数值不是有限数，不能当作答案：它的权重可能已损坏。"
    ),
    r"^There is no (\w+) of (.+): (.+)\.$": r"没有 \2 的 \1：\3。",
    r"^The map cannot be made of a picture that hardly differs: (.+)\.$": r"图片几乎不变时，这张热图却做不出来：\1。",
    r"^(.+) is to be compared with itself; allowed: two different classes\.$": (
        r"\1 不能与自身比较；允许：两个不同的类别。"
    ),
    r"^No backbone is chosen; allowed: one or more of (.+)\.$": r"没有选择骨干网络；允许：\1 中的一个或多个。",
    r"^A backbone is chosen twice: (.+); allowed: each once\.$": r"有骨干网络被选了两次：\1；允许：每个一次。",
    r"^Unknown target class (.+); allowed: (.+)\.$": r"未知的目标类别 \1；允许：\2。",
    r"^Unknown fusion (.+); allowed: (.+)\.$": r"未知的融合方式 \1；允许：\2。",
    r"^Unknown explanation (.+); allowed: (.+)\.$": r"未知的热图方法 \1；允许：\2。",
    r"^Unknown collection (.+); allowed: (.+)\.$": r"未知的集合 \1；允许：\2。",
    r"^Unknown attack (.+); allowed: (.+)\.$": r"未知的攻击 \1；允许：\2。",
    r"^Unknown (\S+) backbone (.+); allowed: (.+)\.$": r"集合 \1 中没有骨干网络 \2；允许：\3。",
    r"^Unknown (.+) ('.*'); allowed: (.+)\.$": r"设置 \1 没有取值 \2；允许：\3。",
    r"^(\w+) is (.+); allowed: a whole number from (\S+) to (\S+)\.$": r"“\1”的值是 \2；允许：\3 到 \4 的整数。",
    r"^(\w+) is (.+); allowed: (\S+) to (\S+)\.$": r"“\1”的值是 \2；允许：\3 到 \4。",
    r"^(.+) need (.+) of weights together, but the cache may hold (.+); choose fewer .+ --memory\.$": (
        r"\1 的权重共需 \2，而缓存只能容纳 \3；请选择更少或更小的骨干网络，或用更大的 --memory 启动。"
    ),
    r"^Expected a picture as a file, got (.+); allowed: (.+)\.$": r"需要一个图片文件，得到的是 \1；允许：\2。",
    r"^(.+) is a folder; expected one picture file: (.+)\.$": r"\1 是文件夹；需要一个图片文件：\2。",
    r"^(.+) is not a regular file; expected one picture file: (.+)\.$": r"\1 不是普通文件；需要一个图片文件：\2。",
    r"^There is no file (.+); expected a picture file: (.+)\.$": r"没有文件 \1；需要一个图片文件：\2。",
    r"^The file (.+) cannot be opened; expected a picture file: (.+)\.$": r"文件 \1 打不开；需要一个图片文件：\2。",
    r"^(.+) is empty; expected a picture: (.+)\.$": r"\1 是空文件；需要一张图片：\2。",
    r"^(.+) is not a picture of a kind that is read here; allowed: (.+)\.$": (
        r"\1 不是这里能读取的图片类型；允许：\2。"
    ),
    r"^(.+) has more than (\S+) scans; expected an ordinary JPEG\.$": r"\1 的扫描次数超过 \2；需要普通的 JPEG。",
    r"^(.+) has (\S+) x (\S+) pixels; expected at least one\.$": r"\1 有 \2 x \3 个像素；至少要有一个。",
    r"^(.+) has (\S+) x (\S+) = (\S+) million pixels; at most (\S+) million are allowed\.$": (
        r"\1 有 \2 x \3 个像素，即 \4 百万；最多允许 \5 百万像素。"
    ),
    r"^(.+) has (\S+) MB; at most (\S+) MB are allowed\.$": r"\1 有 \2 MB；最多允许 \3 MB。",
    # while weights are fetched
    r"(\d+) bytes instead of (\d+)": r"\1 字节，应为 \2 字节",
    r"^The file (.+) is not on this machine, and the program was started offline: .+ to fetch it\.": (
        r"文件 \1 不在这台机器上，而程序是离线启动的：请联网启动一次以下载它。"
    ),
    r"^The file (.+) is not on this machine and needs a network once: unset HF_HUB_OFFLINE to fetch it\.": (
        r"文件 \1 不在这台机器上，需要联网下载一次：请取消 HF_HUB_OFFLINE。"
    ),
    r"^The file (.+) is not on this machine and needs a network once: (\S+) cannot be reached\.": (
        r"文件 \1 不在这台机器上，需要联网下载一次：无法连接 \2。"
    ),
    r"^The file (.+) is not on this machine and needs a network once: (\S+) did not answer in time; .+ later\.": (
        r"文件 \1 不在这台机器上，需要联网下载一次：\2 没有及时应答；请稍后再试。"
    ),
    r"^The connection to (\S+) broke off while the file (.+) was fetched: try again\.": (
        r"下载文件 \2 时与 \1 的连接中断：请重试。"
    ),
    r"^The connection broke off (\S+) times and the hub cannot resume: try again later\.": (
        r"连接中断了 \1 次，而服务器不能续传：请稍后再试。"
    ),
    r"^The file (.+) arrived damaged \((.+)\) and was thrown away: try again\.": (
        r"文件 \1 下载后已损坏（\2），已丢弃：请重试。"
    ),
    r"^The file (.+) arrived incomplete and was thrown away: try again\.": r"文件 \1 下载不完整，已丢弃：请重试。",
    r"^The file (.+) needs (\S+) MB and (.+) has (\S+) MB free: make room, or set HF_HOME to another disk\.": (
        r"文件 \1 需要 \2 MB，而 \3 只剩 \4 MB：请腾出空间，或把 HF_HOME 设到另一个磁盘。"
    ),
    r"^There is no room on the disk for the file (.+): make room, or set HF_HOME to another disk\.": (
        r"磁盘上没有空间存放文件 \1：请腾出空间，或把 HF_HOME 设到另一个磁盘。"
    ),
    r"^The file (.+) cannot be written to the cache \((.+)\): set HF_HOME to a folder that can be written\.": (
        r"文件 \1 无法写入缓存（\2）：请把 HF_HOME 设到可以写入的文件夹。"
    ),
    r"^The file (.+) is damaged and cannot be removed \((.+)\): delete (.+) by hand\.": (
        r"文件 \1 已损坏且无法删除（\2）：请手动删除 \3。"
    ),
    r"^The file (.+) cannot be fetched \((.+)\)\.": r"文件 \1 无法下载（\2）。",
    r"^(\S+) answered (\S+) when asked for the file (.+): try again later\.": (
        r"向 \1 请求文件 \3 时得到应答 \2：请稍后再试。"
    ),
    r"^(\S+) refuses access to (\S+) \((\S+)\): sign in with `hf auth login`\.": (
        r"\1 拒绝访问 \2（\3）：请用 `hf auth login` 登录。"
    ),
    r"^(\S+) has no repository (\S+), or it is private: check the name, or sign in\.": (
        r"\1 上没有仓库 \2，或者它是私有的：请检查名称，或登录。"
    ),
    r"^The repository (\S+) is gated: accept its terms at (\S+) and sign in with `hf auth login`\.": (
        r"仓库 \1 需要授权：请在 \2 接受其条款，并用 `hf auth login` 登录。"
    ),
    r"^The repository (\S+) has no revision (\S+): check branch, tag or commit\.": (
        r"仓库 \1 没有版本 \2：请检查分支、标签或提交。"
    ),
    r"^The package (\S+) is not installed: pip install (\S+)\.$": r"没有安装软件包 \1：pip install \2。",
    r"^(\S+) of (\S+) is another file than was checked \(SHA-256 (\S+), expected (\S+)\): install \S+ again\.$": (
        r"\2 的 \1 不是检查过的那个文件（SHA-256 为 \3，应为 \4）：请重新安装 \2。"
    ),
    r"^There are (\S+) tensors where (\S+) are wanted\.$": r"有 \1 个张量，而需要 \2 个。",
    r"^(\S+) has the shape (.+), and (\S+) in its place (.+)\.$": r"\1 的形状是 \2，而对应的 \3 是 \4。",
    r"^The tensors of (.+) are not those of (.+): (.+)\.$": r"\1 的张量与 \2 的不符：\3。",
    r"^There is no file (.+): check the name; repositories without safetensors cannot be used\.": (
        r"没有文件 \1：请检查名称；没有 safetensors 的仓库不能使用。"
    ),
    r"^(\S+) does not answer like a hub when asked for the file (.+): check HF_ENDPOINT and the proxy\.": (
        r"向 \1 请求文件 \2 时，应答不像来自 Hub：请检查 HF_ENDPOINT 和代理。"
    ),
    r" ?文件 '([^']*)' of '([^']*)'(?: at '[^']*')? ?": r"“\2”的文件“\1”",
    # what stands between translated parts
    r"(?<=[\u4e00-\u9fff]), (?=[\u4e00-\u9fff])": "，",
    r"(?<=[\u4e00-\u9fff]); (?=[\u4e00-\u9fff])": "；",
    r"(?<=。) (?=[\u4e00-\u9fff])": "",
}
