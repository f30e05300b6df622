"""Simplified Chinese."""

TEXT = {
    "tagline": "看看视觉 Transformer 在看哪里，以及融合它们会带来什么变化",
    "copy_link": "复制链接",
    "copied": "已复制",
    "picture": "图片：拖入、粘贴或拍摄",
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
    "backbones.info": "训练好的网络，各自给出自己的答案。",
    "backbone.weights": "{millions} M 参数",
    "backbone.here": "已就绪",
    "backbone.download": "首次下载 {megabytes} MB",
    "fusion": "融合方式",
    "fusion.info": "怎样把几个答案合成一个。",
    "methods": "热图",
    "methods.info": "在图片上画什么。",
    "more": "热图设置",
    "head_fusion": "注意力展开：注意力头",
    "head_fusion.info": "每层用几种方式去看（头）；这里把它们合成一种。",
    "head_fusion.mean": "平均",
    "head_fusion.max": "最大",
    "head_fusion.min": "最小",
    "discard": "注意力展开：忽略弱注意力的比例",
    "discard.info": "0 与论文一致；越大热图越稀疏。",
    "baseline": "空白图片",
    "baseline.info": "积分梯度从它渐变而来，遮挡也用它盖住小块。",
    "baseline.black": "黑色",
    "baseline.white": "白色",
    "baseline.blurred": "模糊",
    "baseline.mean": "平均色",
    "steps": "积分梯度：步数",
    "steps.info": "起始步数；会加倍（最多 256），直到总和吻合。",
    "samples_count": "平滑梯度：带噪声的副本数",
    "samples_count.info": "副本越多越平稳，也越慢。",
    "noise": "平滑梯度：噪声强度",
    "noise.info": "标准差；1 表示从黑到白。",
    "patches": "遮挡：长边上的块数",
    "patches.info": "块越多细节越清楚，也越慢。",
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
    "fused": "融合",
    "weight": "权重 {weight}",
    "weight.none": "未计入",
    "agree.one": "只有一个骨干网络，无需融合。",
    "agree.all": "{count} 个骨干网络意见一致。",
    "agree.not": "{names} {verb}：{label}",
    "agree.disagrees": "不同意",
    "agree.disagree": "不同意",
    "agreement": "一致度 {percent} %",
    "agreement.more": "1 减去各概率的 Jensen-Shannon 散度：完全一致时为 100 %。",
    "ran": "{fusion}，{count} 个网络 · {device} · {seconds} 秒",
    "ran.sample": "示例",
    "not_offered": "没有热图：{reason}",
    "not_seen": "斜线部分：骨干网络看到之前就被裁掉了。",
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
    "working.explaining": "{method}：{subject}",
    "working.queued": "正在开始",
    "stale": "以下是更改设置之前的结果。要更新，请按：{button}。",
    "cancelled": "已取消，之前的结果保留不变。",
    "no_picture": "还没有图片：请在上方拖入、粘贴、拍摄，或选择一个示例。",
    "no_methods": "没有选择热图：请在“热图”下勾选一项或多项。",
    "unexpected": "发生了不该发生的错误。服务器继续运行，详情见其日志。",
    "link_ignored": "链接中有一部分无法识别，已忽略：{what}。",
    "footnote": (
        "热图显示的是方法算出的结果，而不是网络的想法。红色支持该类别，蓝色反对；没有正负号的热图由暗到亮。"
        "逐像素的热图略作平滑以便观看，原始数值见下载文件。"
    ),
    "other_language": "English",
    "look": "深色",
    "projector": "投影",
    "tab.analyse": "分析",
    "tab.compare": "比较",
    "group.simple": "简单",
    "group.fitted": "用留出的图片学得",
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
        "相同的并排放置。"
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

# Why a map is not offered: parts of the sentences that `attention.tokens` and `explain` make.
REASONS = {
    " is the same for every class, so it cannot compare two of them": "对每个类别都一样，无法比较两个类别",
    "guided backpropagation is defined for networks of ReLUs alone, and this one has ": (
        "引导反向传播只对仅含 ReLU 的网络有定义，而这个网络含有 "
    ),
    "DeepLift does not add up here: its error is ": "DeepLift 在这里加起来不吻合：误差为所解释差值的 ",
    " % of the difference that it explains, more than the 5 % that are let pass; integrated gradients add up": (
        " %，超过允许的 5 %；积分梯度是吻合的"
    ),
    "GradCAM was not checked for ": "GradCAM 尚未验证：",
    ": which of its layers to take, and which axis, is not settled": "（该取哪一层、哪个轴尚未确定）",
    "GradCAM needs what the last block's attention reads, and a ": "GradCAM 需要最后一个模块的注意力所读取的内容，而 ",
    " has no layer that holds it": " 没有保存它的层",
    "a convolutional network has no attention": "卷积网络没有注意力",
    "MobileViT attends within each pixel phase and convolves in between: no token is one patch": (
        "MobileViT 在各像素相位内做注意力，中间夹着卷积：没有哪个词元对应一个小块"
    ),
    "MobileViTv2 scores each patch for all others at once: it has no attention from patch to patch": (
        "MobileViTv2 一次为每个小块打一个分：没有小块之间的注意力"
    ),
    "Swin attends within shifted windows; its rollout is an extension not checked here": (
        "Swin 在移动窗口内做注意力；它的展开是一种尚未在此验证的推广"
    ),
    "CaiT mixes its heads before and after the softmax; its rollout has not been checked here": (
        "CaiT 在 softmax 前后混合注意力头；它的展开尚未在此验证"
    ),
    "CrossViT attends in two branches of different patch sizes; its rollout has not been checked here": (
        "CrossViT 有两条块大小不同的分支；它的展开尚未在此验证"
    ),
    "LeViT drops three quarters of its tokens on the way; its rollout has not been checked here": (
        "LeViT 途中丢弃四分之三的词元；它的展开尚未在此验证"
    ),
    "ConViT mixes attention with fixed positions; its rollout has not been checked here": (
        "ConViT 把注意力与固定位置混合；它的展开尚未在此验证"
    ),
    "XCiT attends over channels, not over places": "XCiT 的注意力作用于通道，而不是位置",
    ". Integrated gradients and occlusion work for every backbone.": "。积分梯度和遮挡适用于每个骨干网络。",
    "majority vote jumps from class to class, so it has no gradient; occlusion works.": (
        "多数表决会在类别之间跳变，没有梯度；可以用遮挡。"
    ),
    "there is no record of what these backbones said of validation pictures": "没有这些网络在验证图片上的答案记录",
    "it reads maps from inside the backbones, which are kept when it is the chosen fusion": (
        "它要读取网络内部的特征图，只有选中这种融合时才会保留它们"
    ),
}

# Reasons with names in them, as regular expressions: those that fitted fusions make.
PATTERNS = {
    r"^(?:.* )?has to learn from validation pictures, and (.+)\.$": r"需要从验证图片学习，但\1。",
    r"the record of (\S+) is of other classes": r"\1 的记录属于其他类别",
    r"the record of (\S+) lacks ([^;]+); allowed: ([^。]+)": r"\1 的记录里没有 \2；允许：\3",
    r"the record of (\S+) was made with other weights or settings of ([^\s。]+)": r"\1 的记录来自 \2 的其他权重或设置",
    r"([\w-]+) does not show the maps of its stages; allowed: ([^。]+)": r"\1 不提供各阶段的特征图；允许：\2",
    r"the record of (\S+) does not say how cautiously": r"\1 的记录没有说明要多谨慎",
}
